// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <span>
#include <vector>

#include <omnibal/partition.hpp>
#include <omnibal/pipeline.hpp>

struct unit_times {
  [[nodiscard]] std::int64_t duration(const omnibal::pipeline_operation&) const { return 1; }
  [[nodiscard]] std::int64_t latency(const omnibal::pipeline_operation&) const { return 0; }
};

void right_schedule() {
  const omnibal::schedule_shape shape{.kind = omnibal::schedules::gpipe(), .stages = 2};
  (void)omnibal::device_order(shape, 0);
}

void right(const omnibal::operation_graph& graph,
           std::span<const omnibal::pipeline_operation> order) {
  (void)omnibal::simulate(graph, unit_times());
  (void)omnibal::peak_activation(order, [](const omnibal::pipeline_operation&) {
    return omnibal::activation_bytes{.saved = 1};
  });
  (void)omnibal::partition_chain(std::vector<int>{1, 2, 3}, 2);
}

#ifdef OMNIBAL_MISTAKE
struct seconds {
  [[nodiscard]] double duration(const omnibal::pipeline_operation&) const { return 0.1; }
  [[nodiscard]] double latency(const omnibal::pipeline_operation&) const { return 0; }
};
struct without_order {
  static constexpr const char* name = "without order";
  static constexpr omnibal::schedule_capabilities capabilities = {};
  static void validate(const omnibal::schedule_size&) {}
  static std::size_t runnable_microbatches(const omnibal::schedule_size&, std::size_t m) {
    return m;
  }
  static std::size_t device(const omnibal::schedule_size&, std::size_t stage) { return stage; }
};
struct without_latency {
  [[nodiscard]] std::int64_t duration(const omnibal::pipeline_operation&) const { return 1; }
};

void wrong(const omnibal::operation_graph& graph,
           std::span<const omnibal::pipeline_operation> order) {
  // clang-format off
  (void)omnibal::simulate(graph, seconds());                                                // error: operation_times|time_of.*seconds
  (void)omnibal::simulate(graph, without_latency());                                        // error: operation_times.*latency|time_of.*without_latency
  (void)omnibal::peak_activation(order, [](const omnibal::pipeline_operation&) { return "many"; });  // error: activation_model
  (void)omnibal::peak_activation(order, 7);                                                 // error: activation_model
  (void)omnibal::partition_chain(std::vector<double>{1, 2, 3}, 2);                          // error: integral|Weight = double
  omnibal::any_schedule schedule{without_order()};                                          // error: pipeline_schedule|without_order
  omnibal::stage_times<double> times;                                                       // error: integral
  // clang-format on
}
#endif
