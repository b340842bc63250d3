// SPDX-License-Identifier: Apache-2.0
/// @file
/// Ranks over the fake NCCL.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include <omnibal/comm/thread_communicator.hpp>

#include "comm/collective_checks.hpp"
#include "comm/nccl/fake_nccl.hpp"

/// Runs ranks, each on a device of its own, and expects that NCCL was used as it allows.
inline void on_ranks(std::size_t size,
                     const std::function<void(omnibal::thread_communicator&)>& run) {
  omnibal::run_as_ranks(size, [&](omnibal::thread_communicator& ranks) {
    fake::here = {.device = static_cast<int>(ranks.rank())};
    run(ranks);
  });
  std::string violations;
  for (const std::string& each : fake::all.violations) violations += each + "; ";
  collective_checks::expect(violations.empty(), violations);
}
