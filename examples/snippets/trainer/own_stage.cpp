// SPDX-License-Identifier: Apache-2.0
// A model of one's own under the trainer's engine: what docs/trainer.md shows, run over two ranks.
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string_view>
#include <vector>

#include <omnibal/comm/thread_channel.hpp>
#include <omnibal/comm/thread_communicator.hpp>
#include <omnibal/cost/own_chain.hpp>
#include <omnibal/run/plan_run.hpp>

#include "claim.hpp"
#include "engine.hpp"

namespace {

using namespace omnibal;
using namespace omnibal::trainer;
using omnibal::examples::claim;

// >>> docs/trainer.md
struct scale_parameter {
  std::size_t layer = 0;  // its place in the chain of all layers
  std::span<float> value = {};
  std::span<float> gradient = {};
};

/// A stage of the chain y = w · x, one number per token; the loss is the sum of the last y.
class scale_stage {
 public:
  scale_stage(std::size_t layer, bool is_last) : layer_(layer), is_last_(is_last) {}

  void begin_step(std::vector<std::size_t> tokens) { tokens_ = std::move(tokens); }

  void forward(std::size_t m, std::span<const float> input, std::span<float> output) {
    std::vector<float>& x = saved_[m];
    x.assign(input.begin(), input.end());
    if (layer_ == 0) x.assign(tokens_[m], 1.0F);  // the first stage makes its own input
    for (std::size_t i = 0; i < output.size(); ++i) output[i] = weight_[0] * x[i];
  }

  void backward(std::size_t m, std::span<const float> output_gradient,
                std::span<float> input_gradient) {
    const std::vector<float>& x = saved_.at(m);
    for (std::size_t i = 0; i < x.size(); ++i) {
      const float slope = is_last_ ? 1.0F : output_gradient[i];
      gradient_[0] += slope * x[i];
      if (!input_gradient.empty()) input_gradient[i] = slope * weight_[0];
    }
    saved_.erase(m);
  }

  void weight_gradient(std::size_t) {}  // only where the plan splits the backward

  std::vector<scale_parameter> parameters() { return {{layer_, weight_, gradient_}}; }

  std::int64_t bytes_held() const {
    std::size_t numbers = 0;
    for (const auto& [m, x] : saved_) numbers += x.size();
    return static_cast<std::int64_t>(numbers * sizeof(float));
  }
  std::int64_t peak_bytes() const { return bytes_held(); }
  void restart_peak() {}

 private:
  std::size_t layer_;
  bool is_last_;
  std::vector<std::size_t> tokens_;
  std::array<float, 1> weight_ = {0.5F};
  std::array<float, 1> gradient_ = {0};
  std::map<std::size_t, std::vector<float>> saved_;  // by micro-batch
};
static_assert(stage<scale_stage>);
// <<<

// >>> docs/trainer.md
struct no_update {
  void reduce(std::uint32_t) {}
  void clip() {}
  void step(std::uint32_t) {}
  void gather(std::uint32_t) {}
  void abort(std::string_view) {}
};
// <<<

// >>> docs/trainer.md
execution_plan make_plan() {
  const layer_cost layer{
      .parameters = 1,
      .forward_time = cost_per({.token = 1}),
      .backward_time = cost_per({.token = 2}),
      .output_bytes = cost_per({.token = 4}),  // one float: what forward() writes
      .modes = {{.saved_bytes = cost_per({.token = 4})}}};
  const std::vector<layer_cost> chain = {layer, layer};
  const std::vector<vision_language_sample> samples(8, {1, 3});  // tiles, tokens
  const run_problem problem{.samples = samples,
                            .chain = chain,
                            .stages = 2,
                            .global_batch = 8,
                            .memory = {.limit = 1'000'000},
                            .capacity = loads<2>{2, 6}};  // of a micro-batch
  return make_execution_plan(problem, plan_run(problem).planned);
}
// <<<

}  // namespace

int main() {
  const execution_plan plan = make_plan();
  std::array<float, 2> gradients = {};
  run_as_ranks(plan.ranks(), [&](thread_communicator& ranks) {
    // >>> docs/trainer.md
    thread_channel channel = open_thread_channel(ranks);
    const std::size_t rank = ranks.rank();
    scale_stage mine(rank, rank + 1 == plan.stages.size());
    std::vector<scale_stage*> stages(plan.stages.size());
    stages[rank] = &mine;
    engine<scale_stage, thread_channel> run(plan, channel, stages);
    no_update update;
    for (std::size_t step = 0; step < plan.steps(); ++step) {
      std::vector<std::size_t> tokens;
      for (const std::uint32_t pack : step_of(plan, step, rank).packs)
        tokens.push_back(static_cast<std::size_t>(plan.workloads[pack].tokens));
      mine.begin_step(std::move(tokens));
      const step_log log = run(step, update);
      claim(log.items == step_of(plan, step, rank).items, "every item has run");
    }
    // <<<
    gradients[rank] = mine.parameters()[0].gradient[0];
  });
  // 24 tokens of input 1, weights of 0.5.
  claim(gradients[0] == 12 && gradients[1] == 12, "gradients are those of the formula");
}
