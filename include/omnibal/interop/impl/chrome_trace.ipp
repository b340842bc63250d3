// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

#include <omnibal/config.hpp>
#include <omnibal/interop/chrome_trace.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/timeline.hpp>

namespace omnibal::inline v0 {

namespace detail {

[[nodiscard]] inline const char* trace_category(operation_kind kind) noexcept {
  switch (kind) {
    case operation_kind::forward: return "forward";
    case operation_kind::backward: return "backward";
    case operation_kind::weight_gradient: break;
  }
  return "weight gradient";
}

[[nodiscard]] inline std::string trace_row_name(std::size_t device) {
  const std::string number = std::to_string(device);
  return R"({"name":"thread_name","ph":"M","pid":0,"tid":)" + number +
         R"(,"args":{"name":"device )" + number + R"("}})";
}

[[nodiscard]] inline std::string trace_slice(const timeline_bar& bar) {
  return R"({"name":")" + to_string(bar.work) + R"(","cat":")" + trace_category(bar.work.kind) +
         R"(","ph":"X","pid":0,"tid":)" + std::to_string(bar.device) + R"(,"ts":)" +
         std::to_string(bar.begin) + R"(,"dur":)" + std::to_string(bar.end - bar.begin) +
         R"(,"args":{"recomputed":)" + std::to_string(bar.recomputed) + "}}";
}

}  // namespace detail

OMNIBAL_INLINE std::string chrome_trace(const timeline& step) {
  std::string events;
  const auto add = [&](const std::string& event) {
    if (!events.empty()) events += ',';
    events += event;
  };
  for (std::size_t device = 0; device < step.devices; ++device) add(detail::trace_row_name(device));
  for (const timeline_bar& bar : step.bars) add(detail::trace_slice(bar));
  return R"({"traceEvents":[)" + events + "]}\n";
}

}  // namespace omnibal::inline v0
