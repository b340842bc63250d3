// SPDX-License-Identifier: Apache-2.0
/// @file
/// Arrays of Thrust's device, and functions of numbers run over them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <thrust/copy.h>
#include <thrust/device_vector.h>
#include <thrust/execution_policy.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/transform.h>

template <typename Value>
std::vector<Value> copied(const thrust::device_vector<Value>& values) {
  std::vector<Value> copy(values.size());
  if (!values.empty()) thrust::copy(values.begin(), values.end(), copy.begin());
  return copy;
}

/// Null for an empty array.
template <typename Value>
const Value* address_of(const thrust::device_vector<Value>& values) {
  return values.empty() ? nullptr : thrust::raw_pointer_cast(values.data());
}

/// function(0) … function(size − 1).
template <typename Value, typename Function>
std::vector<Value> tabulated(std::size_t size, const Function& function) {
  thrust::device_vector<Value> values(size);
  const auto numbers = thrust::make_counting_iterator(std::int64_t{0});
  thrust::transform(thrust::device, numbers, numbers + static_cast<std::int64_t>(size),
                    values.begin(), function);
  return copied(values);
}
