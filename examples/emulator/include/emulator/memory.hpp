// SPDX-License-Identifier: Apache-2.0
/// @file
/// Device memory: blocks of host memory of exactly the size asked for, so that the address
/// sanitizer sees every access outside them. Without it, guards on both sides show writes there.
/// New memory is filled with a pattern.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "emulator/fiber.hpp"

namespace emulator {

class device_memory {
 public:
  using contents = std::vector<std::vector<char>>;

  /// Null when there is not enough.
  [[nodiscard]] void* allocate(std::size_t bytes) {
    void* memory = nullptr;
    if (bytes > SIZE_MAX - 2 * guard || posix_memalign(&memory, alignment, bytes + 2 * guard) != 0)
      return nullptr;
    char* const begin = static_cast<char*>(memory) + guard;
    std::memset(memory, untouched, guard);
    std::memset(begin, new_memory, bytes);
    std::memset(begin + bytes, untouched, guard);
    sizes_[begin] = bytes;
    return begin;
  }

  /// Whether it was allocated and not yet freed.
  [[nodiscard]] bool free(void* memory) {
    if (sizes_.erase(static_cast<char*>(memory)) == 0) return false;
    std::free(static_cast<char*>(memory) - guard);
    return true;
  }

  [[nodiscard]] contents save() const {
    contents saved;
    for (const auto& [begin, bytes] : sizes_) saved.emplace_back(begin, begin + bytes);
    return saved;
  }

  /// Nothing must have been allocated or freed since.
  void restore(const contents& saved) {
    auto one = saved.begin();
    for (const auto& [begin, bytes] : sizes_) std::copy_n((one++)->data(), bytes, begin);
  }

  /// The first byte that is not as it was saved, in words, or nothing.
  [[nodiscard]] std::string difference(const contents& saved) const {
    auto one = saved.begin();
    for (const auto& [begin, bytes] : sizes_) {
      const std::vector<char>& was = *one++;
      const auto at = std::mismatch(was.begin(), was.end(), begin).first - was.begin();
      if (static_cast<std::size_t>(at) != bytes)
        return "byte " + std::to_string(at) + " of an allocation of " + std::to_string(bytes);
    }
    return {};
  }

  /// Which guard was written to, in words, or nothing.
  [[nodiscard]] std::string overrun() const {
    for (const auto& [begin, bytes] : sizes_) {
      const auto is_untouched = [](char byte) { return byte == untouched; };
      const bool before = !std::all_of(begin - guard, begin, is_untouched);
      const bool behind = !std::all_of(begin + bytes, begin + bytes + guard, is_untouched);
      if (before || behind)
        return std::string("a write out of bounds, ") + (before ? "before" : "behind") +
               " an allocation of " + std::to_string(bytes) + " bytes";
    }
    return {};
  }

 private:
  static constexpr std::size_t alignment = 256;  // as cudaMalloc promises
  static constexpr std::size_t guard = EMULATOR_ADDRESS_SANITIZER ? 0 : alignment;
  static constexpr char untouched = 0x5C;
  static constexpr int new_memory = 0xA5;

  std::map<char*, std::size_t> sizes_;
};

}  // namespace emulator
