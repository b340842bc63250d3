// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/simulate.hpp>
#include <omnibal/pipeline/step_simulation.hpp>
#include <omnibal/pipeline/timeline.hpp>

namespace omnibal::inline v0 {

namespace detail {

inline void expect_entries(std::string_view field, std::size_t entries, std::size_t wanted,
                           const char* what) {
  if (entries != wanted)
    throw invalid_input(
        field, entries,
        "must have one entry per " + std::string(what) + ", " + std::to_string(wanted));
}

inline void expect_amounts(std::string_view field, const std::vector<std::int64_t>& values,
                           std::size_t wanted, const char* what) {
  expect_entries(field, values.size(), wanted, what);
  for (std::size_t i = 0; i < wanted; ++i)
    if (values[i] < 0) throw invalid_input(field, i, values[i], "must not be negative");
}

/// A step whose lists are all there.
class step_simulator {
 public:
  explicit step_simulator(const step_problem& given) : problem_(given) {
    validate(problem_.schedule);
    stages_ = problem_.schedule.total_stages();
    fill_in();
    check_sizes();
    check_sums();
    if (problem_.orders.empty()) problem_.orders = device_orders(problem_.schedule);
    if (problem_.orders.size() != problem_.schedule.stages)
      throw invalid_input("orders", problem_.orders.size(), "must have one order per device");
  }

  [[nodiscard]] simulated_step simulate() const {
    const operation_graph graph(problem_.orders, stages_, problem_.schedule.microbatches);
    const auto recomputed = [&](const pipeline_operation& work) -> std::int64_t {
      if (work.kind != operation_kind::backward) return 0;
      return problem_.recomputation[work.stage] * problem_.times.microbatch_scale[work.microbatch];
    };
    return {.times = after_steps(omnibal::simulate(graph, problem_.times), device_times(graph)),
            .peaks = peaks(),
            .drawn = simulate_timeline(graph, problem_.times, recomputed)};
  }

 private:
  void fill_in() {
    const auto fill = [](auto& list, std::size_t size, const auto& value) {
      if (list.empty()) list.assign(size, value);
    };
    fill(problem_.times.weight_gradient, stages_, 0);
    fill(problem_.times.microbatch_scale, problem_.schedule.microbatches, 1);
    fill(problem_.recomputation, stages_, 0);
    fill(problem_.activations, stages_, activation_bytes{});
    fill(problem_.step_times, stages_, 0);
  }

  void check_sizes() const {
    const stage_times<std::int64_t>& times = problem_.times;
    const char* const stage = "virtual stage";
    expect_amounts("times.forward", times.forward, stages_, stage);
    expect_amounts("times.backward", times.backward, stages_, stage);
    expect_amounts("times.weight_gradient", times.weight_gradient, stages_, stage);
    expect_amounts("recomputation", problem_.recomputation, stages_, stage);
    for (std::size_t j = 0; j < stages_; ++j)
      if (problem_.recomputation[j] > times.backward[j])
        throw invalid_input("recomputation", j, problem_.recomputation[j],
                            "must not be more than times.backward, of which it is a part");
    check_activations();
    expect_amounts("step_times", problem_.step_times, stages_, stage);
    const char* const edge = "edge between stages";
    expect_amounts("times.forward_latency", times.forward_latency, stages_ - 1, edge);
    expect_amounts("times.backward_latency", times.backward_latency, stages_ - 1, edge);
    expect_amounts("times.microbatch_scale", times.microbatch_scale, problem_.schedule.microbatches,
                   "micro-batch");
  }

  void check_activations() const {
    expect_entries("activations", problem_.activations.size(), stages_, "virtual stage");
    for (std::size_t j = 0; j < stages_; ++j) {
      const activation_bytes& bytes = problem_.activations[j];
      const auto check = [&](const char* field, std::int64_t value) {
        if (value < 0) throw invalid_input(field, j, value, "must not be negative");
      };
      check("activations[].saved", bytes.saved);
      check("activations[].transient", bytes.transient);
      check("activations[].saved_for_weight_gradient", bytes.saved_for_weight_gradient);
    }
  }

  /// Throws unless every sum that the simulation forms fits 64 bits.
  void check_sums() const {
    const stage_times<std::int64_t>& times = problem_.times;
    std::int64_t scale = 0;
    for (const std::int64_t factor : times.microbatch_scale)
      scale = checked_add(scale, std::max<std::int64_t>(1, factor), "times.microbatch_scale");
    std::int64_t time = 0;
    for (const auto* values :
         {&times.forward, &times.backward, &times.weight_gradient, &times.forward_latency,
          &times.backward_latency, &problem_.step_times})
      for (const std::int64_t value : *values) time = checked_add(time, value, "times");
    (void)checked_multiply(time, scale, "times");
    std::int64_t bytes = 0;
    for (const activation_bytes& one : problem_.activations)
      for (const std::int64_t value :
           {std::max(one.saved, one.saved_for_weight_gradient), one.transient})
        bytes = checked_add(bytes, value, "activations");
    (void)checked_multiply(bytes, static_cast<std::int64_t>(problem_.schedule.microbatches),
                           "activations");
  }

  /// Of each device: the graph says where a stage is, for orders may place it anywhere.
  [[nodiscard]] std::vector<std::int64_t> device_times(const operation_graph& graph) const {
    std::vector<std::int64_t> times(problem_.schedule.stages, 0);
    for (const operation_graph::node& node : graph.nodes())
      if (node.work.kind == operation_kind::forward && node.work.microbatch == 0)
        times[node.device] += problem_.step_times[node.work.stage];
    return times;
  }

  [[nodiscard]] std::vector<device_peak> peaks() const {
    const auto bytes = [&](const pipeline_operation& work) {
      return problem_.activations[work.stage];
    };
    std::vector<device_peak> all;
    for (const std::vector<pipeline_operation>& order : problem_.orders)
      all.push_back(peak_activation(order, bytes));
    return all;
  }

  step_problem problem_;
  std::size_t stages_ = 0;
};

}  // namespace detail

OMNIBAL_INLINE simulated_step simulate_step(const step_problem& problem) {
  return detail::step_simulator(problem).simulate();
}

}  // namespace omnibal::inline v0
