// SPDX-License-Identifier: Apache-2.0
// What every schedule promises, checked on all small sizes; schedules that are wrong on purpose
// show that the check finds what it is there for.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/memory.hpp>
#include <omnibal/pipeline/operation_graph.hpp>
#include <omnibal/pipeline/schedules.hpp>
#include <omnibal/pipeline/timeline.hpp>

#include "../catch.hpp"
#include "own_schedules.hpp"

using namespace omnibal;

namespace {

bool accepted(const schedule_shape& shape) {
  try {
    validate(shape);
    return true;
  } catch (const invalid_input&) {
    return false;
  }
}

/// What is wrong with the placement of stages; nothing if all is well.
std::string wrong_placement(const schedule_shape& shape) {
  std::vector<std::size_t> count(shape.stages, 0);
  for (std::size_t j = 0; j < shape.total_stages(); ++j) {
    if (shape.device(j) >= shape.stages) return "a stage on no device";
    ++count[shape.device(j)];
  }
  for (const std::size_t stages : count)
    if (stages != shape.virtual_stages) return "devices with unequally many stages";
  return "";
}

std::string wrong_order(const schedule_shape& shape) {
  const auto orders = device_orders(shape);
  std::vector<std::array<std::uint32_t, 3>> next(shape.total_stages());
  for (std::size_t d = 0; d < orders.size(); ++d)
    for (const pipeline_operation& work : orders[d]) {
      if (work.stage >= shape.total_stages()) return "a stage that does not exist";
      if (shape.device(work.stage) != d) return "an operation on another device than its stage";
      if (work.microbatch != next[work.stage][static_cast<std::size_t>(work.kind)]++)
        return "micro-batches out of order";
      if (work.kind == operation_kind::weight_gradient && !shape.splits_backward())
        return "weight gradients without the capability";
    }
  try {
    const operation_graph graph(orders, shape.total_stages(), shape.microbatches);
    if (graph.splits_backward() != shape.splits_backward()) return "no weight gradients";
  } catch (const invalid_input& error) {
    return error.what();
  }
  return "";
}

std::string wrong_runnable(schedule_shape shape, std::size_t most) {
  for (std::size_t m = 1; m <= most; ++m) {
    const std::size_t runnable = runnable_microbatches(shape, m);
    if (runnable < m) return "fewer runnable micro-batches than asked for";
    shape.microbatches = runnable;
    if (!accepted(shape)) return "runnable micro-batches that are refused";
    for (shape.microbatches = m; shape.microbatches < runnable; ++shape.microbatches)
      if (accepted(shape)) return "more runnable micro-batches than needed";
  }
  return "";
}

/// The first promise that the schedule breaks; nothing if it keeps all.
std::string broken_promise(const any_schedule& kind) {
  const schedule_capabilities& can = kind.capabilities();
  if (can.least_virtual_stages == 0 || can.least_virtual_stages > can.most_virtual_stages)
    return "impossible capabilities";
  for (std::size_t p = 1; p <= 5; ++p)
    for (std::size_t v = can.least_virtual_stages;
         v <= std::min<std::size_t>(3, can.most_virtual_stages); ++v)
      for (const std::size_t group : {std::size_t{0}, p, p + 1, 2 * p + 1}) {
        schedule_shape shape{.kind = kind, .stages = p, .virtual_stages = v, .group_size = group};
        if (std::string wrong = wrong_runnable(shape, 3 * p + 2); !wrong.empty()) return wrong;
        for (shape.microbatches = 1; shape.microbatches <= 3 * p + 2; ++shape.microbatches) {
          if (!accepted(shape)) continue;
          if (std::string wrong = wrong_placement(shape); !wrong.empty()) return wrong;
          if (std::string wrong = wrong_order(shape); !wrong.empty()) return wrong;
        }
      }
  return "";
}

// ---- wrong on purpose --------------------------------------------------------------------------

struct skips_the_last : schedules::gpipe {
  static std::vector<pipeline_operation> order(const schedule_size& size, std::size_t device) {
    auto order = schedules::gpipe::order(size, device);
    order.pop_back();
    return order;
  }
};
struct backwards_reversed : schedules::gpipe {
  static std::vector<pipeline_operation> order(const schedule_size& size, std::size_t device) {
    auto order = schedules::gpipe::order(size, device);
    std::reverse(order.begin() + static_cast<std::ptrdiff_t>(size.microbatches), order.end());
    return order;
  }
};
/// Every device begins with as many forwards as the first: the last waits for backwards that are
/// its own.
struct backward_before_forward : schedules::one_forward_one_backward {
  static std::vector<pipeline_operation> order(const schedule_size& size, std::size_t device) {
    auto order = schedules::one_forward_one_backward::order(size, device);
    std::swap(order.front(), order.back());
    return order;
  }
};
struct on_no_device : schedules::gpipe {
  static std::size_t device(const schedule_size&, std::size_t stage) { return stage + 1; }
};
struct all_on_the_first : schedules::gpipe {
  static std::size_t device(const schedule_size&, std::size_t) { return 0; }
};
struct elsewhere : schedules::gpipe {
  static std::size_t device(const schedule_size& size, std::size_t stage) {
    return size.stages - 1 - stage;
  }
};
struct promises_weight_gradients : schedules::gpipe {
  static constexpr schedule_capabilities capabilities = {.splits_backward = true};
};
struct runs_too_few : schedules::interleaved {
  static std::size_t runnable_microbatches(const schedule_size&, std::size_t microbatches) {
    return microbatches;
  }
};
struct runs_too_many : schedules::interleaved {
  static std::size_t runnable_microbatches(const schedule_size& size, std::size_t microbatches) {
    return schedules::interleaved::runnable_microbatches(size, microbatches + 1);
  }
};

}  // namespace

TEST_CASE("every schedule keeps what schedules promise") {
  for (const any_schedule& kind : all_schedules) {
    INFO(kind.name());
    CHECK(broken_promise(kind).empty());
  }
  CHECK(broken_promise(test::depth_first{}).empty());
  CHECK(broken_promise(test::neighbours{}).empty());
}

TEST_CASE("schedules that are wrong on purpose are found out") {
  CHECK(broken_promise(skips_the_last{}).find("is missing") != std::string::npos);
  CHECK(broken_promise(backwards_reversed{}) == "micro-batches out of order");
  CHECK_FALSE(broken_promise(backward_before_forward{}).empty());
  CHECK(broken_promise(on_no_device{}) == "a stage on no device");
  CHECK(broken_promise(all_on_the_first{}) == "devices with unequally many stages");
  CHECK(broken_promise(elsewhere{}) == "an operation on another device than its stage");
  CHECK(broken_promise(promises_weight_gradients{}) == "no weight gradients");
  CHECK(broken_promise(runs_too_few{}) == "runnable micro-batches that are refused");
  CHECK(broken_promise(runs_too_many{}) == "more runnable micro-batches than needed");
}

TEST_CASE("every schedule in the list has a name of its own, by which it is found") {
  for (const any_schedule& kind : all_schedules) {
    CHECK(schedule_named(kind.name()) == kind);
    CHECK(std::ranges::count(all_schedules, kind) == 1);
  }
  CHECK_FALSE(schedule_named("none of them").has_value());
  CHECK_FALSE(schedule_named("").has_value());
  CHECK(any_schedule().name() == "1f1b");
}

TEST_CASE("Interleaved takes the numbers of micro-batches that Megatron-LM takes") {
  const auto runs = [](std::size_t group, std::size_t microbatches) {
    return accepted({.kind = schedules::interleaved{},
                     .stages = 4,
                     .virtual_stages = 2,
                     .microbatches = microbatches,
                     .group_size = group});
  };
  CHECK(runs(0, 8));
  CHECK_FALSE(runs(0, 10));
  CHECK(runs(5, 10));
  CHECK_FALSE(runs(5, 8));
  CHECK(runs(5, 4));
  CHECK(runs(5, 9));
  CHECK_FALSE(runs(5, 11));
  CHECK_FALSE(runs(3, 6));
}

TEST_CASE("ZB-V leaves no device idle at unit times and needs the memory of 1F1B") {
  for (std::size_t p = 1; p <= 8; ++p)
    for (std::size_t m = 1; m <= 4 * p; ++m) {
      const schedule_shape shape{
          .kind = schedules::zero_bubble_v{}, .stages = p, .virtual_stages = 2, .microbatches = m};
      const std::vector<std::int64_t> ones(2 * p, 1);
      const std::vector<std::int64_t> none(2 * p - 1, 0);
      const timeline step = simulate_timeline(operation_graph(shape),
                                              stage_times<>{ones, ones, ones, none, none, {}});
      const auto whole = [](const pipeline_operation&) {
        return activation_bytes{.saved = 1, .saved_for_weight_gradient = 1};
      };
      for (std::size_t d = 0; d < p; ++d)
        REQUIRE(peak_activation(device_order(shape, d), whole).bytes <=
                static_cast<std::int64_t>(2 * p));
      if (m < 2 * p - 1) continue;
      // Six operations per micro-batch on every device, one after the other; device d starts when
      // the first micro-batch arrives, d later than the first.
      REQUIRE(step.end() == static_cast<std::int64_t>(6 * m + p - 1));
      std::vector<std::int64_t> begin(p, step.end());
      std::vector<std::int64_t> end(p, 0);
      for (const timeline_bar& bar : step.bars) {
        begin[bar.device] = std::min(begin[bar.device], bar.begin);
        end[bar.device] = std::max(end[bar.device], bar.end);
      }
      for (std::size_t d = 0; d < p; ++d) {
        REQUIRE(begin[d] == static_cast<std::int64_t>(d));
        REQUIRE(end[d] - begin[d] == static_cast<std::int64_t>(6 * m));
        REQUIRE(peak_activation(device_order(shape, d), whole).bytes ==
                static_cast<std::int64_t>(2 * p));
      }
    }
}

TEST_CASE("in_flight counts on the device that has the stage") {
  const schedule_shape own{.kind = test::depth_first{}, .stages = 3, .microbatches = 4};
  const schedule_shape shape{.stages = 3, .microbatches = 4};
  for (std::size_t stage = 0; stage < 3; ++stage) {
    CHECK(in_flight(own, stage) == 1);
    CHECK(in_flight(shape, stage) == 3 - stage);
  }
}

TEST_CASE("ZB-V with a micro-batch or two, written out") {
  const auto written = [](std::size_t device) {
    const schedule_shape shape{
        .kind = schedules::zero_bubble_v{}, .stages = 2, .virtual_stages = 2, .microbatches = 3};
    std::string text;
    for (const pipeline_operation& work : device_order(shape, device))
      text += (text.empty() ? "" : " ") + to_string(work);
    return text;
  };
  CHECK(
      written(0) ==
      "F0.0 F0.1 F0.2 F3.0 B3.0 W3.0 F3.1 B3.1 W3.1 B0.0 W0.0 F3.2 B3.2 W3.2 B0.1 W0.1 B0.2 W0.2");
  CHECK(
      written(1) ==
      "F1.0 F2.0 F1.1 F2.1 B2.0 W2.0 F1.2 B1.0 W1.0 F2.2 B2.1 W2.1 B1.1 B2.2 B1.2 W1.1 W2.2 W1.2");
}
