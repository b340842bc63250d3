// SPDX-License-Identifier: Apache-2.0

#include "placed_batch.hpp"

#include <string>
#include <vector>

#include <omnibal/core/error.hpp>

#include "catch.hpp"
#include "model_runs.hpp"

using namespace omnibal::trainer;
using namespace omnibal::trainer::tests;

TEST_CASE("micro-batches that do not fit are refused by member, index and value") {
  const model_config config = micro_model();
  auto stages = stages_of<float>(config, one_stage(config));
  microbatch batch = batch_of(config, {{1, 5}, {0, 3}});
  std::string message;
  const auto refused = [&](auto&& change) {
    microbatch changed = batch;
    change(changed);
    try {
      stages[0].begin_step(std::vector{changed});
    } catch (const omnibal::invalid_input& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  CHECK(refused([](microbatch&) {}) == "accepted");
  CHECK(refused([](microbatch& one) { one.position_ids.pop_back(); }) ==
        "microbatch.position_ids = 11: entries are given: must be 12");
  CHECK(refused([](microbatch& one) { one.targets.push_back(1); }) ==
        "microbatch.targets = 13: entries are given: must be 12");
  CHECK(refused([](microbatch& one) { one.loss_weights.clear(); }) ==
        "microbatch.loss_weights = 0: entries are given: must be 12");
  CHECK(refused([](microbatch& one) { one.pixels.pop_back(); }) ==
        "microbatch.pixels = 63: entries are given: must be a multiple of 64");
  CHECK(refused([](microbatch& one) { one.image_slots.pop_back(); }) ==
        "microbatch.image_slots = 3: entries are given: must be 4");
  CHECK(refused([](microbatch& one) { one.image_slots[1] = 0; }) ==
        "microbatch.image_slots[1] = 0: must be greater than the one before it");
  CHECK(refused([](microbatch& one) { one.image_slots[3] = 12; }) ==
        "microbatch.image_slots[3] = 12: must be at least 0 and less than 12");
  CHECK(refused([](microbatch& one) { one.token_ids[2] = 11; }) ==
        "microbatch.token_ids[2] = 11: must be at least 0 and less than 11");
  CHECK(refused([](microbatch& one) { one.targets[6] = -1; }) ==
        "microbatch.targets[6] = -1: must be at least 0 and less than 11");
  CHECK(refused([](microbatch& one) { one.cu_seqlens.back() = 11; }) ==
        "microbatch.cu_seqlens = 11: must ascend from 0 to the number of tokens, 12");
  CHECK(refused([](microbatch& one) { one.cu_seqlens = {}; }) ==
        "microbatch.cu_seqlens = 0: must ascend from 0 to the number of tokens, 12");
}
