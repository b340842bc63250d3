// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <string>
#include <vector>

#include <omnibal/dispatch.hpp>

omnibal::epoch_plan plan_of(std::uint64_t epoch);
omnibal::dispatch_plan plan_alone(std::uint64_t epoch);

void right() {
  (void)omnibal::dispatch_packs(8, [](std::uint32_t pack) { return pack + 1; }, {.ranks = 2});
  omnibal::epoch_iterator run(plan_of, {.epochs = 2});
}

#ifdef OMNIBAL_MISTAKE
void wrong(const omnibal::dispatch_plan& plan) {
  // clang-format off
  (void)omnibal::dispatch_packs(8, [](std::uint32_t pack) { return 0.5 * pack; }, {.ranks = 2});  // error: integral
  (void)omnibal::dispatch_packs(8, [](std::string) { return 1; }, {.ranks = 2});                  // error: invocable
  omnibal::epoch_iterator run(plan, {.epochs = 2});                                               // error: plan_source|PlanFor = .*dispatch_plan
  omnibal::epoch_iterator lost(plan_alone, {.epochs = 2});                                        // error: plan_source|PlanFor = .*dispatch_plan
  // clang-format on
}
#endif
