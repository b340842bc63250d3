// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <omnibal/packing.hpp>

const std::vector<omnibal::loads<1>> samples(1000, {700});

omnibal::grouping<> make_plan(std::uint64_t seed) {
  return omnibal::pack_balanced(samples, {.capacity = {4096}, .seed = seed}).packs;
}

// The tokens of every fourth pack.
std::int64_t tokens_of(const omnibal::grouping<>& packs, std::size_t rank) {
  std::int64_t tokens = 0;
  for (std::size_t k = rank; k < packs.size(); k += 4)
    for (const std::uint32_t sample : packs[k]) tokens += samples[sample][0];
  return tokens;
}

// >>> docs/communication.md
#include <omnibal/comm.hpp>

std::int64_t plan_epoch(omnibal::thread_communicator& ranks, std::uint64_t seed) {
  const omnibal::grouping<> packs = make_plan(seed);                // on every rank by itself
  omnibal::require_agreement(ranks, "the plan of epoch 3", packs);  // eight bytes per rank
  return omnibal::all_reduce_sum(ranks, tokens_of(packs, ranks.rank()));
}
// <<<

namespace tensors {

// >>> docs/communication.md
#include <omnibal/comm.hpp>

void reduce_gradients(omnibal::thread_communicator& ranks, std::vector<float>& gradients,
                      double own_tokens) {
  auto channel = omnibal::open_thread_channel(ranks, {.rendezvous = true});
  auto sum = channel.all_reduce(omnibal::view_of(gradients), omnibal::reduction::sum);
  const double tokens = omnibal::all_reduce_sum(ranks, own_tokens);
  sum.wait();
  omnibal::scale(omnibal::view_of(gradients), 1 / tokens);
}
// <<<

}  // namespace tensors

// One step on two channels.
void train(omnibal::thread_channel& data, omnibal::thread_channel& pipeline) {
  std::vector<float> values(4);
  data.all_reduce(omnibal::view_of(values), omnibal::reduction::sum).wait();
  pipeline.broadcast(omnibal::view_of(values), 0).wait();
}

// >>> docs/communication.md
void train_watched(omnibal::thread_communicator& control, omnibal::thread_channel& data,
                   omnibal::thread_channel& pipeline) {
  omnibal::channel_watchdog watchdog(
      {.deadline = std::chrono::minutes(2), .missing = [&] {
         return omnibal::missing_ranks(control, std::vector{data.log(), pipeline.log()});
       }});
  watchdog.watch(data);
  watchdog.watch(pipeline);
  train(data, pipeline);
}
// <<<

bool reduces_by_tokens() {
  std::vector<float> first;
  omnibal::run_as_ranks(2, [&](omnibal::thread_communicator& ranks) {
    // Rank 0 has three tokens of gradient 1, rank 1 one of gradient 5: the mean is 2.
    std::vector<float> gradients(10, ranks.rank() == 0 ? 3.0F : 5.0F);
    tensors::reduce_gradients(ranks, gradients, ranks.rank() == 0 ? 3.0 : 1.0);
    if (ranks.rank() == 0) first = gradients;
  });
  return first == std::vector<float>(10, 2.0F);
}

bool trains_watched() {
  omnibal::run_as_ranks(2, [&](omnibal::thread_communicator& ranks) {
    auto data = omnibal::open_thread_channel(ranks);
    auto pipeline = omnibal::open_thread_channel(ranks);
    train_watched(ranks, data, pipeline);
  });
  return true;
}

int main() {
  std::vector<std::int64_t> tokens(4);
  // >>> docs/communication.md
  omnibal::run_as_ranks(4, [&](omnibal::thread_communicator& ranks) {
    tokens[ranks.rank()] = plan_epoch(ranks, 1024);
  });
  // <<<
  return tokens == std::vector<std::int64_t>(4, 700'000) && reduces_by_tokens() && trains_watched()
             ? 0
             : 1;
}
