// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

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

[[nodiscard]] inline std::string trace_row_name(std::size_t process, std::size_t device) {
  const std::string number = std::to_string(device);
  return R"({"name":"thread_name","ph":"M","pid":)" + std::to_string(process) + R"(,"tid":)" +
         number + R"(,"args":{"name":"device )" + number + R"("}})";
}

[[nodiscard]] inline std::string trace_slice(std::size_t process, const timeline_bar& bar) {
  return R"({"name":")" + to_string(bar.work) + R"(","cat":")" + trace_category(bar.work.kind) +
         R"(","ph":"X","pid":)" + std::to_string(process) + R"(,"tid":)" +
         std::to_string(bar.device) + R"(,"ts":)" + std::to_string(bar.begin) + R"(,"dur":)" +
         std::to_string(bar.end - bar.begin) + R"(,"args":{"recomputed":)" +
         std::to_string(bar.recomputed) + "}}";
}

/// The text as a JSON string.
[[nodiscard]] inline std::string trace_text(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte < 0x20) {
      quoted += "\\u00";
      quoted += digits[byte >> 4];
      quoted += digits[byte & 15];
      continue;
    }
    if (letter == '"' || letter == '\\') quoted += '\\';
    quoted += letter;
  }
  return quoted + '"';
}

/// The events of a timeline, each preceded by a comma but for the first of all.
inline void add_trace_events(std::string& events, std::size_t process, const timeline& step) {
  const auto add = [&](const std::string& event) {
    if (!events.empty()) events += ',';
    events += event;
  };
  for (std::size_t device = 0; device < step.devices; ++device)
    add(trace_row_name(process, device));
  for (const timeline_bar& bar : step.bars) add(trace_slice(process, bar));
}

}  // namespace detail

OMNIBAL_INLINE std::string chrome_trace(const timeline& step) {
  std::string events;
  detail::add_trace_events(events, 0, step);
  return R"({"traceEvents":[)" + events + "]}\n";
}

OMNIBAL_INLINE std::string chrome_traces(std::span<const timeline> steps) {
  std::string events;
  for (std::size_t k = 0; k < steps.size(); ++k) {
    if (!events.empty()) events += ',';
    events += R"({"name":"process_name","ph":"M","pid":)" + std::to_string(k) +
              R"(,"args":{"name":)" + detail::trace_text(steps[k].title) + "}}";
    detail::add_trace_events(events, k, steps[k]);
  }
  return R"({"traceEvents":[)" + events + "]}\n";
}

}  // namespace omnibal::inline v0
