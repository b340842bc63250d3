// SPDX-License-Identifier: Apache-2.0
/// @file
/// Runs the grid of a kernel: one block after the other, each with poisoned shared memory. By
/// default every grid runs several times from the same device memory, with blocks and threads in
/// other orders: where the results differ, blocks or threads race.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "emulator/block.hpp"
#include "emulator/fiber.hpp"
#include "emulator/memory.hpp"
#include "emulator/symbols.hpp"
#include "emulator/vector_types.h"

namespace emulator {

/// How kernels are run.
struct settings {
  order blocks = order::forward;
  order threads = order::forward;
  std::uint64_t seed = 1;  ///< Of random orders.
  /// Whether to run each grid also with blocks in reverse, threads in reverse, and both in a random
  /// order, and to compare the results.
  bool compare_orders = true;
};

/// One launch of a kernel.
struct kernel_launch {
  const void* kernel = nullptr;
  dim3 grid;
  dim3 block;
  std::function<void()> body;  ///< What each thread does.
  /// May start before the launch before it has ended, and waits for that by
  /// cudaGridDependencySynchronize().
  bool is_programmatic = false;
};

class grid_runner {
 public:
  explicit grid_runner(device_memory& memory) : memory_(memory) {}

  settings options;

  /// Runs launches of which each but the first may overlap the one before. Returns what is wrong
  /// with them, or nothing.
  [[nodiscard]] std::string run(std::span<const kernel_launch> launches) {
    const auto& name = symbols(launches.back().kernel).name;
    const auto reported = [&](const std::string& finding) {
      return finding.empty() ? finding : name + ": " + finding;
    };
    if (!options.compare_orders) return reported(run_once(launches, options));
    const device_memory::contents before = memory_.save();
    std::string finding = run_once(launches, options);
    if (!finding.empty()) return reported(finding);
    const device_memory::contents results = memory_.save();
    for (const auto& [other, what] : other_orders()) {
      memory_.restore(before);
      finding = run_once(launches, other);
      if (!finding.empty()) return reported(finding);
      finding = memory_.difference(results);
      if (!finding.empty()) return reported("the order of " + what + " changes " + finding);
    }
    return {};
  }

  [[nodiscard]] const kernel_symbols& symbols(const void* kernel) {
    const auto known = symbols_.find(kernel);
    if (known != symbols_.end()) return known->second;
    return symbols_.emplace(kernel, symbols_of(kernel)).first->second;
  }

 private:
  static constexpr char poison = static_cast<char>(0xCD);

  [[nodiscard]] std::vector<std::pair<settings, std::string>> other_orders() const {
    const auto turned = [](order o) {
      return o == order::reverse ? order::forward : order::reverse;
    };
    const auto with = [&](order blocks, order threads) {
      return settings{.blocks = blocks, .threads = threads, .seed = options.seed};
    };
    return {{with(turned(options.blocks), options.threads), "blocks"},
            {with(options.blocks, turned(options.threads)), "threads"},
            {with(order::random, order::random), "blocks and threads"}};
  }

  /// A launch runs those before it at the latest moment it permits.
  [[nodiscard]] std::string run_once(std::span<const kernel_launch> launches, const settings& how) {
    const kernel_launch& last = launches.back();
    const auto earlier = launches.first(launches.size() - 1);
    std::string finding;
    bool has_run = earlier.empty();
    const std::function<void()> run_earlier = [&] {
      if (std::exchange(has_run, true)) return;
      finding = run_aside(last, earlier, how);
    };
    if (!last.is_programmatic) run_earlier();
    if (finding.empty()) finding = run_blocks(last, how, run_earlier, finding);
    if (finding.empty()) run_earlier();
    return finding;
  }

  /// In the middle of a block of `last`, whose state it leaves alone.
  [[nodiscard]] std::string run_aside(const kernel_launch& last,
                                      std::span<const kernel_launch> earlier, const settings& how) {
    const auto state = std::tuple(threadIdx, blockIdx, blockDim, gridDim, running_block);
    std::vector<std::vector<char>> shared;
    for (const auto& variable : symbols(last.kernel).shared_variables) {
      shared.emplace_back(variable.size());
      copy(variable.data(), shared.back().data(), variable.size());
    }
    std::string finding = run_once(earlier, how);
    for (std::size_t i = 0; i < shared.size(); ++i)
      copy(shared[i].data(), symbols(last.kernel).shared_variables[i].data(), shared[i].size());
    std::tie(threadIdx, blockIdx, blockDim, gridDim, running_block) = state;
    return finding;
  }

  [[nodiscard]] std::string run_blocks(const kernel_launch& launch, const settings& how,
                                       const std::function<void()>& run_earlier,
                                       const std::string& finding_of_earlier) {
    const std::size_t blocks = std::size_t{launch.grid.x} * launch.grid.y * launch.grid.z;
    sequence order_of_blocks(blocks, how.blocks, how.seed);
    for (const std::size_t number : order_of_blocks.next()) {
      const auto [x, y, z] = launch.grid;
      blockIdx = {static_cast<unsigned>(number % x), static_cast<unsigned>(number / x % y),
                  static_cast<unsigned>(number / x / y)};
      gridDim = launch.grid;
      blockDim = launch.block;
      for (const auto& variable : symbols(launch.kernel).shared_variables)
        fill(variable.data(), variable.size());
      block_run block(fibers_, launch.block, launch.body, run_earlier, how.threads,
                      how.seed + number);
      running_block = &block;
      std::string finding = block.run();
      running_block = nullptr;
      if (finding.empty()) finding = finding_of_earlier;
      if (finding.empty()) finding = memory_.overrun();
      if (!finding.empty())
        return "block (" + std::to_string(blockIdx.x) + ", " + std::to_string(blockIdx.y) + ", " +
               std::to_string(blockIdx.z) + "): " + finding;
    }
    return {};
  }

  // Symbols include the sanitizer's zones around a variable: byte by byte and unseen by it.
  __attribute__((no_sanitize("address"))) static void copy(const volatile char* from,
                                                           volatile char* to, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) to[i] = from[i];
  }
  __attribute__((no_sanitize("address"))) static void fill(volatile char* begin,
                                                           std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; ++i) begin[i] = poison;
  }

  device_memory& memory_;
  fiber_pool fibers_;
  std::map<const void*, kernel_symbols> symbols_;
};

}  // namespace emulator
