// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <initializer_list>
#include <string>

#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/schedule.hpp>
#include <omnibal/pipeline/schedules.hpp>

#include "../catch.hpp"

using namespace omnibal;

namespace {

std::string written(const std::vector<pipeline_operation>& order) {
  std::string text;
  for (const pipeline_operation& work : order) text += (text.empty() ? "" : " ") + to_string(work);
  return text;
}

}  // namespace

TEST_CASE("1F1B fills with p - s - 1 forwards, then alternates") {
  const schedule_shape shape{.stages = 3, .microbatches = 4};
  CHECK(written(device_order(shape, 0)) == "F0.0 F0.1 F0.2 B0.0 F0.3 B0.1 B0.2 B0.3");
  CHECK(written(device_order(shape, 1)) == "F1.0 F1.1 B1.0 F1.2 B1.1 F1.3 B1.2 B1.3");
  CHECK(written(device_order(shape, 2)) == "F2.0 B2.0 F2.1 B2.1 F2.2 B2.2 F2.3 B2.3");
}

TEST_CASE("1F1B with fewer micro-batches than stages") {
  const schedule_shape shape{.stages = 5, .microbatches = 2};
  CHECK(written(device_order(shape, 0)) == "F0.0 F0.1 B0.0 B0.1");
  CHECK(written(device_order(shape, 4)) == "F4.0 B4.0 F4.1 B4.1");
}

TEST_CASE("GPipe runs all forwards first, backwards in the same order") {
  const schedule_shape shape{.kind = schedules::gpipe{}, .stages = 2, .microbatches = 3};
  CHECK(written(device_order(shape, 1)) == "F1.0 F1.1 F1.2 B1.0 B1.1 B1.2");
}

TEST_CASE("Interleaved passes groups of micro-batches through the chunks of a device") {
  const schedule_shape shape{
      .kind = schedules::interleaved{}, .stages = 2, .virtual_stages = 2, .microbatches = 4};
  CHECK(written(device_order(shape, 0)) ==
        "F0.0 F0.1 F2.0 F2.1 F0.2 B2.0 F0.3 B2.1 F2.2 B0.0 F2.3 B0.1 B2.2 B2.3 B0.2 B0.3");
}

TEST_CASE("ZB-H1 delays the weight gradient by the depth of the stage") {
  const schedule_shape shape{.kind = schedules::zero_bubble_h1{}, .stages = 2, .microbatches = 3};
  CHECK(written(device_order(shape, 0)) == "F0.0 F0.1 B0.0 W0.0 F0.2 B0.1 W0.1 B0.2 W0.2");
  CHECK(written(device_order(shape, 1)) == "F1.0 B1.0 F1.1 B1.1 W1.0 F1.2 B1.2 W1.1 W1.2");
}

TEST_CASE("In-flight micro-batches follow from the order") {
  const auto one_byte = [](const pipeline_operation&) { return activation_bytes{.saved = 1}; };
  for (const any_schedule kind : std::initializer_list<any_schedule>{
           schedules::gpipe{}, schedules::one_forward_one_backward{}})
    for (std::size_t stages = 1; stages <= 6; ++stages)
      for (std::size_t microbatches = 1; microbatches <= 9; ++microbatches) {
        const schedule_shape shape{.kind = kind, .stages = stages, .microbatches = microbatches};
        for (std::size_t stage = 0; stage < stages; ++stage) {
          const device_peak peak = peak_activation(device_order(shape, stage), one_byte);
          REQUIRE(peak.in_flight == in_flight(shape, stage));
          REQUIRE(peak.bytes == static_cast<std::int64_t>(peak.in_flight));
        }
      }
}

TEST_CASE("Transients are added to what is saved while B runs") {
  const schedule_shape shape{.stages = 2, .microbatches = 3};
  const auto bytes = [](const pipeline_operation& work) {
    return activation_bytes{.saved = 10, .transient = work.microbatch == 2 ? 7 : 3};
  };
  // Device 0 holds 20 at each backward but the last, where it holds 10.
  CHECK(peak_activation(device_order(shape, 0), bytes).bytes == 23);
  CHECK(peak_activation(device_order(shape, 1), bytes).bytes == 17);
}

TEST_CASE("Sizes that do not fit a schedule are refused by name") {
  const auto field = [](const schedule_shape& shape) -> std::string {
    try {
      validate(shape);
    } catch (const invalid_input& error) {
      return error.field();
    }
    return "";
  };
  CHECK(field({.stages = 0}) == "stages");
  CHECK(field({.stages = 2, .microbatches = 0}) == "microbatches");
  CHECK(field({.stages = 2, .virtual_stages = 2, .microbatches = 2}) == "virtual_stages");
  CHECK(field({.virtual_stages = 0}) == "virtual_stages");
  CHECK(field({.microbatches = std::size_t{1} << 40}) == "microbatches");
  CHECK(field({.kind = schedules::interleaved{}, .stages = 2, .microbatches = 3}) ==
        "microbatches");
  CHECK(
      field({.kind = schedules::interleaved{}, .stages = 4, .microbatches = 4, .group_size = 2}) ==
      "group_size");
  CHECK(field({.stages = 2, .microbatches = 3}).empty());
}

TEST_CASE("Explicit orders that cannot be run are refused with the operation") {
  using orders = std::vector<std::vector<pipeline_operation>>;
  constexpr auto F = operation_kind::forward;
  constexpr auto B = operation_kind::backward;
  const auto value = [](const orders& given, std::size_t stages,
                        std::size_t microbatches) -> std::string {
    try {
      (void)operation_graph(given, stages, microbatches);
    } catch (const invalid_input& error) {
      return error.value();
    }
    return "accepted";
  };
  CHECK(value({{{F, 0, 0}, {B, 0, 0}}}, 1, 1) == "accepted");
  CHECK(value({{{F, 0, 0}}}, 1, 1) == "B0.0");                                     // missing
  CHECK(value({{{F, 0, 0}, {F, 0, 0}, {B, 0, 0}}}, 1, 1) == "F0.0");               // twice
  CHECK(value({{{F, 0, 0}, {B, 0, 1}}}, 1, 1) == "B0.1");                          // out of range
  CHECK(value({{{F, 0, 0}, {B, 1, 0}}, {{F, 1, 0}, {B, 0, 0}}}, 2, 1) == "F1.0");  // torn stage
  CHECK(value({{{F, 1, 0}, {B, 1, 0}}, {{F, 0, 0}, {B, 0, 0}}}, 2, 1) == "accepted");
  CHECK(value({{{B, 0, 0}, {F, 0, 0}}}, 1, 1) == "B0.0");  // before its forward
  CHECK(value({{{F, 0, 0}, {B, 0, 0}, {F, 0, 1}, {B, 0, 1}},
               {{F, 1, 1}, {B, 1, 1}, {F, 1, 0}, {B, 1, 0}}},
              2, 2) == "B0.0");  // circle
  CHECK(value({}, 1, 1) == "nothing");
}
