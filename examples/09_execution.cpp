// SPDX-License-Identifier: Apache-2.0
// From measured layers to what a rank executes: a chain of one's own (a patch encoder before a
// decoder), packed samples, the plan of a run, and the items of rank 2 in its first step. What
// a trainer adds is a loop over these items.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include <omnibal/cost/own_chain.hpp>
#include <omnibal/run/execution_plan.hpp>
#include <omnibal/run/plan_run.hpp>

#include "claim.hpp"

using omnibal::examples::claim;

/// What a trainer measures, synthetic here: times and bytes at a few sizes of micro-batches.
void measure(std::vector<omnibal::measured_layer>& rows, const std::string& name, double per_tile,
             double per_token) {
  for (const std::int64_t tiles : {1, 2, 4, 8})
    for (const std::int64_t tokens : {300, 900, 2000}) {
      const double forward =
          20'000 + per_tile * static_cast<double>(tiles) + per_token * static_cast<double>(tokens);
      rows.push_back({.name = name,
                      .work = {tiles, tokens, tokens * 300},
                      .forward_time = forward,
                      .backward_time = 2 * forward,
                      .weight_gradient_time = forward,
                      .saved_bytes = 16 * forward});
    }
}

int main() {
  std::vector<omnibal::measured_layer> rows;
  measure(rows, "encoder", 400'000, 0);
  measure(rows, "decoder", 0, 900);
  const omnibal::own_layer encoder{.name = "encoder",
                                   .parameters = 20'000'000,
                                   .output_bytes = omnibal::cost_per({.tile = 2 * 256 * 1024})};
  const omnibal::own_layer decoder{.name = "decoder",
                                   .parameters = 50'000'000,
                                   .output_bytes = omnibal::cost_per({.token = 2 * 2048})};
  const auto chain = omnibal::chain_from(
      omnibal::fit_layers(rows), {encoder, encoder, encoder, decoder, decoder, decoder, decoder});

  std::vector<omnibal::vision_language_sample> samples;
  for (std::int64_t i = 0; i < 300; ++i) samples.push_back({1 + i % 4, 200 + (i * 37) % 700});
  const omnibal::run_problem problem{.samples = samples,
                                     .chain = chain,
                                     .stages = 2,
                                     .data_parallel = 2,
                                     .global_batch = 48,
                                     .memory = {.limit = std::int64_t{16} << 30},
                                     .capacity = omnibal::loads<2>{8, 2048}};
  const omnibal::run_result run = omnibal::plan_run(problem);
  claim(run.planned.status != omnibal::search_status::infeasible, "a plan fits the memory");

  const auto plan = omnibal::make_execution_plan(problem, run.planned);
  validate(plan);
  constexpr std::size_t rank = 2;
  const omnibal::rank_step mine = omnibal::step_of(plan, 0, rank);
  const omnibal::execution_stage& stage = plan.stages[rank % plan.devices];
  std::printf("rank %zu runs layers %u to %u; step 0 takes %.1f ms\n", rank, stage.first_layer,
              stage.end_layer - 1, static_cast<double>(plan.step_times[0]) * 1e-6);
  for (std::size_t m = 0; m < mine.packs.size(); ++m) {
    std::printf("micro-batch %zu: samples", m);
    for (const std::uint32_t sample : plan.packs[mine.packs[m]]) std::printf(" %u", sample);
    std::printf("\n");
  }
  std::size_t sent = 0;
  for (std::size_t i = 0; i < mine.items.size(); ++i) {
    std::printf("%s", to_string(mine.items[i]).c_str());
    if (mine.bytes[i] > 0) std::printf(", %lld bytes", static_cast<long long>(mine.bytes[i]));
    std::printf("\n");
    sent += is_send(mine.items[i].kind);
  }
  claim(sent == mine.packs.size(), "every micro-batch is passed on to the next stage once");
  claim(mine.items.back().kind == omnibal::item_kind::step,
        "the optimizer's step is the last item");
}
