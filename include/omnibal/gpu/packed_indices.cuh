// SPDX-License-Identifier: Apache-2.0
/// @file
/// The index arrays of packed attention, computed on the device from the lengths of a pack's
/// documents: cu_seqlens and max_seqlen for variable-length attention kernels, and the position and
/// the document of each token. Two kernels, no workspace and no copy to the host, so a training
/// step with it can be captured as a CUDA graph. Include it in CUDA translation units that link
/// omnibal::gpu.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/gpu/detail/fill.cuh>
#include <omnibal/gpu/detail/launch.cuh>
#include <omnibal/gpu/detail/lengths.cuh>
#include <omnibal/gpu/detail/scan.cuh>
#include <omnibal/gpu/detail/wait.cuh>
#include <omnibal/gpu/error.cuh>
#include <omnibal/gpu/packed_summary.hpp>

namespace omnibal::inline v0::gpu {

/// The output arrays, in device memory, for B documents in a row of token slots. Position is
/// std::int32_t or std::int64_t. Each of the two per-token arrays has one element per slot, or is
/// empty if it is not wanted.
template <typename Position = std::int64_t>
struct packed_indices_arrays {
  /// B + 1 offsets: document d occupies the slots cu_seqlens[d] … cu_seqlens[d + 1] − 1.
  std::span<std::int32_t> cu_seqlens;
  /// One element: tokens, max_seqlen, and whether the lengths were valid.
  packed_summary* summary = nullptr;
  /// The position of each token in its document, from 0.
  std::span<Position> position_ids = {};
  /// The document of each token.
  std::span<std::int32_t> sequence_index = {};

  /// The number of tokens that fit: the number of slots, or the largest int32 without per-token
  /// arrays.
  [[nodiscard]] std::int64_t capacity() const noexcept {
    const std::size_t slots = std::max(position_ids.size(), sequence_index.size());
    return slots == 0 ? INT32_MAX : static_cast<std::int64_t>(slots);
  }
};

/// Computes packed-attention indices asynchronously: enqueues at most two kernels on `stream`,
/// allocates nothing, and may be captured in a graph. Slots after the last token are filled as one
/// more document, number B. `lengths` and all arrays are device memory and must not overlap.
///
/// Returns cudaErrorInvalidValue when arrays have the wrong size, otherwise the result of the
/// launch. Lengths are checked on the device: unless is_valid(*summary, arrays.capacity()), a
/// length was negative (taken as 0) or the tokens did not fit (those after the last slot are left
/// out). O(B + slots · log B) work; it writes 4 (B + 1) bytes, and 12 or 8 bytes per slot.
template <typename Position>
cudaError_t packed_indices_async(std::span<const std::int32_t> lengths,
                                 const packed_indices_arrays<Position>& arrays,
                                 cudaStream_t stream) noexcept;

/// Computes packed-attention indices, waits for them (synchronises the stream) and returns the
/// summary. Throws invalid_input when an array has the wrong size, a length is negative or the
/// tokens do not fit, and cuda_error when the device fails.
template <typename Position>
packed_summary packed_indices(std::span<const std::int32_t> lengths,
                              const packed_indices_arrays<Position>& arrays,
                              cudaStream_t stream = nullptr);

/// The same of lengths in host memory. What is_valid() would refuse is refused at once, and so are
/// more than most_host_lengths.
template <typename Position>
cudaError_t packed_indices_async(const host_lengths& lengths,
                                 const packed_indices_arrays<Position>& arrays,
                                 cudaStream_t stream) noexcept;
template <typename Position>
packed_summary packed_indices(const host_lengths& lengths,
                              const packed_indices_arrays<Position>& arrays,
                              cudaStream_t stream = nullptr);

namespace detail {

/// Throws unless the required arrays are given and all sizes are consistent.
template <typename Position>
void require_arrays(std::span<const std::int32_t> lengths,
                    const packed_indices_arrays<Position>& arrays) {
  static_assert(std::is_same_v<Position, std::int32_t> || std::is_same_v<Position, std::int64_t>,
                "position_ids are std::int32_t or std::int64_t");
  constexpr std::size_t limit = INT32_MAX;
  if (lengths.size() >= limit)
    throw invalid_input("lengths.size()", lengths.size(), "must be less than 2^31 - 1");
  if (arrays.cu_seqlens.size() != lengths.size() + 1)
    throw invalid_input(
        "cu_seqlens.size()", arrays.cu_seqlens.size(),
        "must be one more than the number of documents, " + std::to_string(lengths.size()));
  if (arrays.summary == nullptr) throw invalid_input("summary", "null", "must be device memory");
  const std::size_t slots = arrays.position_ids.size();
  if (slots > limit) throw invalid_input("position_ids.size()", slots, "must fit int32");
  if (arrays.sequence_index.size() > limit)
    throw invalid_input("sequence_index.size()", arrays.sequence_index.size(), "must fit int32");
  if (slots != 0 && !arrays.sequence_index.empty() && arrays.sequence_index.size() != slots)
    throw invalid_input("sequence_index.size()", arrays.sequence_index.size(),
                        "must be the size of position_ids, " + std::to_string(slots));
}

template <typename Position>
[[noreturn]] void refuse_tokens(const packed_summary& pack,
                                const packed_indices_arrays<Position>& arrays) {
  throw invalid_input("sum of lengths", pack.tokens,
                      "must be at most the number of slots, " + std::to_string(arrays.capacity()));
}

/// The same of lengths that the host knows, and whether they fit.
template <typename Position>
void require_arrays(const host_lengths& given, const packed_indices_arrays<Position>& arrays) {
  require_arrays(given.lengths, arrays);
  check_host_lengths(given);
  packed_summary pack;
  for (const std::int32_t length : given.lengths) pack.tokens += length;
  if (!is_valid(pack, arrays.capacity())) refuse_tokens(pack, arrays);
}

/// packed_indices_async of what has been checked.
template <typename Lengths, typename Position>
cudaError_t indices_async(const Lengths& lengths, std::size_t count,
                          const packed_indices_arrays<Position>& arrays,
                          cudaStream_t stream) noexcept {
  const auto documents = static_cast<std::int32_t>(count);
  const cudaError_t scanned = scan_async<packed_summary>(
      summarize_document<Lengths>{lengths}, append_summary{}, documents,
      store_summary{arrays.cu_seqlens.data(), arrays.summary, documents}, stream);
  if (scanned != cudaSuccess) return scanned;
  const std::size_t slots = std::max(arrays.position_ids.size(), arrays.sequence_index.size());
  return fill_async(
      start::overlapping, {arrays.cu_seqlens.data(), documents, static_cast<std::int64_t>(slots)},
      store_token<Position>{wanted(arrays.position_ids), wanted(arrays.sequence_index)}, stream);
}

}  // namespace detail

template <typename Position>
cudaError_t packed_indices_async(std::span<const std::int32_t> lengths,
                                 const packed_indices_arrays<Position>& arrays,
                                 cudaStream_t stream) noexcept {
  const cudaError_t checked = detail::code_of([&] { detail::require_arrays(lengths, arrays); });
  if (checked != cudaSuccess) return checked;
  return detail::indices_async(lengths.data(), lengths.size(), arrays, stream);
}

template <typename Position>
cudaError_t packed_indices_async(const host_lengths& lengths,
                                 const packed_indices_arrays<Position>& arrays,
                                 cudaStream_t stream) noexcept {
  const cudaError_t checked = detail::code_of([&] { detail::require_arrays(lengths, arrays); });
  if (checked != cudaSuccess) return checked;
  return detail::indices_async(detail::in_parameters(lengths), lengths.lengths.size(), arrays,
                               stream);
}

template <typename Position>
packed_summary packed_indices(std::span<const std::int32_t> lengths,
                              const packed_indices_arrays<Position>& arrays, cudaStream_t stream) {
  detail::require_arrays(lengths, arrays);
  require(packed_indices_async(lengths, arrays, stream), "packed_indices");
  const packed_summary pack = detail::fetch(arrays.summary, stream, "packed_indices");
  if (pack.first_negative >= 0) {
    const auto document = static_cast<std::size_t>(pack.first_negative);
    throw invalid_input("lengths", document,
                        detail::fetch(&lengths[document], stream, "packed_indices"),
                        "must not be negative");
  }
  if (!is_valid(pack, arrays.capacity())) detail::refuse_tokens(pack, arrays);
  return pack;
}

template <typename Position>
packed_summary packed_indices(const host_lengths& lengths,
                              const packed_indices_arrays<Position>& arrays, cudaStream_t stream) {
  detail::require_arrays(lengths, arrays);
  require(packed_indices_async(lengths, arrays, stream), "packed_indices");
  return detail::fetch(arrays.summary, stream, "packed_indices");
}

}  // namespace omnibal::inline v0::gpu
