// SPDX-License-Identifier: Apache-2.0
/// @file
/// The functions that device code has without a header: barriers, shuffles, votes, atomics, and
/// some arithmetic. Threads run one at a time, so atomics are plain.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "emulator/block.hpp"

// Barriers of a block.

inline void __syncthreads(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  (void)emulator::running_block->barrier(false, {file, line});
}
inline int __syncthreads_count(int predicate, const char* file = __builtin_FILE(),
                               int line = __builtin_LINE()) {
  return static_cast<int>(emulator::running_block->barrier(predicate != 0, {file, line}).nonzero);
}
inline int __syncthreads_and(int predicate, const char* file = __builtin_FILE(),
                             int line = __builtin_LINE()) {
  const auto all = emulator::running_block->barrier(predicate != 0, {file, line});
  return all.nonzero == all.threads ? 1 : 0;
}
inline int __syncthreads_or(int predicate, const char* file = __builtin_FILE(),
                            int line = __builtin_LINE()) {
  return __syncthreads_count(predicate, file, line) != 0 ? 1 : 0;
}

// Operations of the lanes of a mask.

inline void __syncwarp(unsigned mask = ~0U, const char* file = __builtin_FILE(),
                       int line = __builtin_LINE()) {
  (void)emulator::running_block->warp(
      {.operation = "__syncwarp", .mask = mask, .where = {file, line}});
}
inline unsigned __ballot_sync(unsigned mask, int predicate, const char* file = __builtin_FILE(),
                              int line = __builtin_LINE()) {
  return emulator::running_block
      ->warp({.operation = "__ballot_sync",
              .mask = mask,
              .value = predicate != 0 ? 1U : 0U,
              .where = {file, line}})
      .nonzero;
}
inline int __any_sync(unsigned mask, int predicate, const char* file = __builtin_FILE(),
                      int line = __builtin_LINE()) {
  return __ballot_sync(mask, predicate, file, line) != 0 ? 1 : 0;
}
inline int __all_sync(unsigned mask, int predicate, const char* file = __builtin_FILE(),
                      int line = __builtin_LINE()) {
  return __ballot_sync(mask, predicate == 0 ? 1 : 0, file, line) == 0 ? 1 : 0;
}

namespace emulator {

[[nodiscard]] inline unsigned lane() { return static_cast<unsigned>(running_block->number() % 32); }

/// The value of another lane.
template <typename Value>
[[nodiscard]] Value shuffle(const char* operation, unsigned mask, Value value, unsigned source,
                            place where) {
  static_assert(std::is_trivially_copyable_v<Value> && sizeof(Value) <= 8);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  bits = running_block
             ->warp({.operation = operation,
                     .mask = mask,
                     .value = bits,
                     .source = source,
                     .where = where})
             .value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace emulator

template <typename Value>
[[nodiscard]] Value __shfl_sync(unsigned mask, Value value, int source, int width = 32,
                                const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  const unsigned first =
      emulator::lane() / static_cast<unsigned>(width) * static_cast<unsigned>(width);
  const unsigned within = static_cast<unsigned>(source) % static_cast<unsigned>(width);
  return emulator::shuffle("__shfl_sync", mask, value, first + within, {file, line});
}
template <typename Value>
[[nodiscard]] Value __shfl_up_sync(unsigned mask, Value value, unsigned delta, int width = 32,
                                   const char* file = __builtin_FILE(),
                                   int line = __builtin_LINE()) {
  const unsigned lane = emulator::lane();
  const unsigned source = lane % static_cast<unsigned>(width) < delta ? lane : lane - delta;
  return emulator::shuffle("__shfl_up_sync", mask, value, source, {file, line});
}
template <typename Value>
[[nodiscard]] Value __shfl_down_sync(unsigned mask, Value value, unsigned delta, int width = 32,
                                     const char* file = __builtin_FILE(),
                                     int line = __builtin_LINE()) {
  const unsigned lane = emulator::lane();
  const auto lanes = static_cast<unsigned>(width);
  const unsigned source = lane % lanes + delta >= lanes ? lane : lane + delta;
  return emulator::shuffle("__shfl_down_sync", mask, value, source, {file, line});
}
template <typename Value>
[[nodiscard]] Value __shfl_xor_sync(unsigned mask, Value value, int bits, int width = 32,
                                    const char* file = __builtin_FILE(),
                                    int line = __builtin_LINE()) {
  const unsigned lane = emulator::lane();
  const auto lanes = static_cast<unsigned>(width);
  const unsigned other = lane ^ static_cast<unsigned>(bits);
  const unsigned source = other / lanes > lane / lanes ? lane : other;
  return emulator::shuffle("__shfl_xor_sync", mask, value, source, {file, line});
}

/// All lanes of the warp, for threads run one at a time.
[[nodiscard]] inline unsigned __activemask() { return 1U << emulator::lane(); }

// The grid before this one on its stream.

inline void cudaGridDependencySynchronize() { emulator::running_block->wait_for_predecessor(); }
inline void cudaTriggerProgrammaticLaunchCompletion() {}

// Atomics. Each returns the old value.

namespace emulator {

template <typename Value, typename Change>
Value change(Value* address, Change next) {
  const Value old = *address;
  *address = next(old);
  return old;
}

}  // namespace emulator

template <typename Value>
Value atomicAdd(Value* address, std::type_identity_t<Value> value) {
  return emulator::change(address, [&](Value old) { return static_cast<Value>(old + value); });
}
template <typename Value>
Value atomicSub(Value* address, std::type_identity_t<Value> value) {
  return emulator::change(address, [&](Value old) { return static_cast<Value>(old - value); });
}
template <typename Value>
Value atomicMin(Value* address, std::type_identity_t<Value> value) {
  return emulator::change(address, [&](Value old) { return std::min(old, value); });
}
template <typename Value>
Value atomicMax(Value* address, std::type_identity_t<Value> value) {
  return emulator::change(address, [&](Value old) { return std::max(old, value); });
}
template <typename Value>
Value atomicAnd(Value* address, std::type_identity_t<Value> value) {
  return emulator::change(address, [&](Value old) { return static_cast<Value>(old & value); });
}
template <typename Value>
Value atomicOr(Value* address, std::type_identity_t<Value> value) {
  return emulator::change(address, [&](Value old) { return static_cast<Value>(old | value); });
}
template <typename Value>
Value atomicXor(Value* address, std::type_identity_t<Value> value) {
  return emulator::change(address, [&](Value old) { return static_cast<Value>(old ^ value); });
}
template <typename Value>
Value atomicExch(Value* address, std::type_identity_t<Value> value) {
  return emulator::change(address, [&](Value) { return value; });
}
template <typename Value>
Value atomicCAS(Value* address, std::type_identity_t<Value> expected,
                std::type_identity_t<Value> value) {
  return emulator::change(address, [&](Value old) { return old == expected ? value : old; });
}
inline unsigned atomicInc(unsigned* address, unsigned limit) {
  return emulator::change(address, [&](unsigned old) { return old >= limit ? 0U : old + 1; });
}

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

// Loads, bits and rounding.

template <typename Value>
[[nodiscard]] Value __ldg(const Value* address) {
  return *address;
}
[[nodiscard]] inline int __popc(unsigned bits) { return std::popcount(bits); }
[[nodiscard]] inline int __popcll(unsigned long long bits) { return std::popcount(bits); }
[[nodiscard]] inline int __clz(int bits) { return std::countl_zero(static_cast<unsigned>(bits)); }
[[nodiscard]] inline int __clzll(long long bits) {
  return std::countl_zero(static_cast<unsigned long long>(bits));
}
[[nodiscard]] inline int __ffs(int bits) {
  return bits == 0 ? 0 : std::countr_zero(static_cast<unsigned>(bits)) + 1;
}
[[nodiscard]] inline float __fadd_rn(float a, float b) { return a + b; }
[[nodiscard]] inline float __fmul_rn(float a, float b) { return a * b; }
[[nodiscard]] inline float __fdiv_rn(float a, float b) { return a / b; }
[[nodiscard]] inline float __fsqrt_rn(float a) { return std::sqrt(a); }
