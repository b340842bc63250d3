// SPDX-License-Identifier: Apache-2.0
/// @file
/// Offsets of the documents of a packed row, computed on the device from their lengths: cu_seqlens
/// of a fixed size, plain and padded. The device form of indices/documents.hpp: one kernel, no
/// workspace, no copy to the host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/gpu/detail/lengths.cuh>
#include <omnibal/gpu/detail/scan.cuh>
#include <omnibal/gpu/detail/wait.cuh>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/layout.hpp>

namespace omnibal::inline v0::gpu {

/// What the device knows of a row: 24 bytes, as int64[2] and int32[2].
struct row_summary {
  std::int64_t tokens = 0;           ///< Σ lengths; a negative one counts as 0
  std::int64_t slots_used = 0;       ///< Σ lengths rounded up to the multiple
  std::int32_t longest = 0;          ///< a check; kernels take a bound that the host knows
  std::int32_t first_negative = -1;  ///< first document with a negative length, or −1
};

/// Whether no length was negative and all documents fit the layout.
[[nodiscard]] OMNIBAL_HD constexpr bool is_valid(const row_summary& row,
                                                 const indices::document_layout& layout) noexcept {
  return row.first_negative < 0 && row.slots_used <= layout.slots;
}

/// Outputs of lay_documents in device memory. Offsets are optional: an empty span is not written.
struct device_document_arrays {
  std::span<std::int32_t> cu_seqlens = {};         ///< [offset_count(layout)]
  std::span<std::int32_t> cu_seqlens_padded = {};  ///< [offset_count(layout)]
  row_summary* summary = nullptr;                  ///< 1
};

/// Lays documents into a row as indices::lay_documents does; lengths are in device memory. Enqueues
/// one kernel on `stream`, allocates nothing and may be captured: shapes depend on the layout and
/// on the number of lengths alone, and a captured graph that is to take any number of documents is
/// given lengths with zeros at the end, up to the capacity.
///
/// Returns cudaErrorInvalidValue for a layout or sizes that are wrong. Unless is_valid(*summary,
/// layout), a length was negative (taken as 0), or the documents did not fit, and offsets are
/// limited to the layout's slots, so that every reader stays in bounds. O(layout.documents).
cudaError_t lay_documents_async(std::span<const std::int32_t> lengths,
                                const indices::document_layout& layout,
                                const device_document_arrays& arrays, cudaStream_t stream) noexcept;

/// The same, and waits for it. Throws invalid_input for what is_valid() refuses and for sizes that
/// are wrong, and cuda_error when the device fails.
row_summary lay_documents(std::span<const std::int32_t> lengths,
                          const indices::document_layout& layout,
                          const device_document_arrays& arrays, cudaStream_t stream = nullptr);

/// The same of lengths in host memory. What is_valid() would refuse is refused at once, and so are
/// more than most_host_lengths.
cudaError_t lay_documents_async(const host_lengths& lengths, const indices::document_layout& layout,
                                const device_document_arrays& arrays, cudaStream_t stream) noexcept;
row_summary lay_documents(const host_lengths& lengths, const indices::document_layout& layout,
                          const device_document_arrays& arrays, cudaStream_t stream = nullptr);

/// A view of a row with offsets in device memory, for fill_tokens. Without padding the second array
/// may be left out.
[[nodiscard]] inline indices::document_row row_of(const device_document_arrays& arrays,
                                                  std::size_t documents, std::int64_t slots) {
  const auto padded =
      arrays.cu_seqlens_padded.empty() ? arrays.cu_seqlens : arrays.cu_seqlens_padded;
  return {.cu_seqlens = arrays.cu_seqlens.data(),
          .cu_seqlens_padded = padded.data(),
          .documents = static_cast<std::int32_t>(documents),
          .slots = slots};
}

namespace detail {

/// Document → the summary of it alone. Lengths are an address or lengths_in_parameters.
template <typename Lengths>
struct summarize_length {
  Lengths lengths;
  std::int64_t multiple;

  [[nodiscard]] OMNIBAL_HD constexpr row_summary operator()(std::int64_t document) const noexcept {
    const std::int32_t length = lengths[document];
    if (length < 0) return {.first_negative = static_cast<std::int32_t>(document)};
    return {.tokens = length, .slots_used = indices::round_up(length, multiple), .longest = length};
  }
};

/// The summary of some documents and those after them. Associative; {} is its identity.
struct append_row {
  [[nodiscard]] OMNIBAL_HD constexpr row_summary operator()(const row_summary& a,
                                                            const row_summary& b) const noexcept {
    return {.tokens = a.tokens + b.tokens,
            .slots_used = a.slots_used + b.slots_used,
            .longest = a.longest < b.longest ? b.longest : a.longest,
            .first_negative = a.first_negative >= 0 ? a.first_negative : b.first_negative};
  }
};

/// Stores the end of each document, and at the end what is before the first and after the last.
struct store_offsets {
  std::int32_t* cu_seqlens;
  std::int32_t* cu_seqlens_padded;
  row_summary* summary;
  std::int64_t documents;
  std::int64_t entries;
  std::int64_t slots;
  bool counts_tail;

  OMNIBAL_HD constexpr void operator()(std::int64_t document,
                                       const row_summary& row) const noexcept {
    put(cu_seqlens, document + 1, limited(row.tokens));
    put(cu_seqlens_padded, document + 1, limited(row.slots_used));
  }

  OMNIBAL_HD constexpr void finish(const row_summary& all, unsigned thread,
                                   unsigned threads) const noexcept {
    const std::int64_t tail = counts_tail ? slots - limited(all.slots_used) : 0;
    for (std::int64_t i = documents + 1 + thread; i < entries; i += threads) {
      put(cu_seqlens, i, limited(all.tokens) + tail);
      put(cu_seqlens_padded, i, limited(all.slots_used) + tail);
    }
    if (thread != 0) return;
    put(cu_seqlens, 0, 0);
    put(cu_seqlens_padded, 0, 0);
    *summary = all;
  }

 private:
  [[nodiscard]] OMNIBAL_HD constexpr std::int64_t limited(std::int64_t offset) const noexcept {
    return offset < slots ? offset : slots;
  }
  OMNIBAL_HD static constexpr void put(std::int32_t* offsets, std::int64_t i,
                                       std::int64_t offset) noexcept {
    if (offsets != nullptr) offsets[i] = static_cast<std::int32_t>(offset);
  }
};

inline void check_documents(std::span<const std::int32_t> lengths,
                            const indices::document_layout& layout,
                            const device_document_arrays& arrays) {
  const auto require_within = [](std::int64_t value, std::int64_t least, const char* field) {
    if (value < least || value > INT32_MAX)
      throw invalid_input(field, value,
                          "must be " + std::to_string(least) + " … 2147483647: offsets are int32");
  };
  require_within(layout.documents, 0, "documents");
  require_within(layout.slots, 0, "slots");
  require_within(layout.multiple, 1, "multiple");
  if (lengths.size() > static_cast<std::size_t>(layout.documents))
    throw invalid_input("number of lengths", lengths.size(),
                        "must be at most the capacity, " + std::to_string(layout.documents));
  const auto require_entries = [&](std::span<std::int32_t> offsets, const char* field) {
    if (!offsets.empty() && offsets.size() != indices::offset_count(layout))
      throw invalid_input(
          field, offsets.size(),
          "entries are given: must be none or " + std::to_string(indices::offset_count(layout)));
  };
  require_entries(arrays.cu_seqlens, "cu_seqlens");
  require_entries(arrays.cu_seqlens_padded, "cu_seqlens_padded");
  if (arrays.summary == nullptr) throw invalid_input("summary", "null", "must be device memory");
}

[[noreturn]] inline void refuse_slots(const row_summary& row,
                                      const indices::document_layout& layout) {
  throw invalid_input(
      "slots", layout.slots,
      "must be at least what the documents need, " + std::to_string(row.slots_used));
}

/// Throws for what is_valid() would refuse of lengths that the host knows.
inline void check_documents(const host_lengths& given, const indices::document_layout& layout,
                            const device_document_arrays& arrays) {
  check_documents(given.lengths, layout, arrays);
  check_host_lengths(given);
  row_summary all;
  for (const std::int32_t length : given.lengths)
    all.slots_used += indices::round_up(length, layout.multiple);
  if (!is_valid(all, layout)) refuse_slots(all, layout);
}

/// Throws for what is_valid() refuses.
inline void require_valid(const row_summary& row, std::span<const std::int32_t> lengths,
                          const indices::document_layout& layout, cudaStream_t stream,
                          std::string_view operation) {
  if (row.first_negative >= 0) {
    const auto document = static_cast<std::size_t>(row.first_negative);
    throw invalid_input("lengths", document, fetch(&lengths[document], stream, operation),
                        "must not be negative");
  }
  if (!is_valid(row, layout)) refuse_slots(row, layout);
}

[[nodiscard]] inline store_offsets store_offsets_of(std::int64_t documents,
                                                    const indices::document_layout& layout,
                                                    const device_document_arrays& arrays) noexcept {
  return {.cu_seqlens = wanted(arrays.cu_seqlens),
          .cu_seqlens_padded = wanted(arrays.cu_seqlens_padded),
          .summary = arrays.summary,
          .documents = documents,
          .entries = static_cast<std::int64_t>(indices::offset_count(layout)),
          .slots = layout.slots,
          .counts_tail = layout.tail == indices::tail_policy::counted};
}

/// The address of lengths in device memory, or those of the host as kernel parameters.
[[nodiscard]] inline const std::int32_t* for_kernel(
    std::span<const std::int32_t> lengths) noexcept {
  return lengths.data();
}
[[nodiscard]] inline lengths_in_parameters for_kernel(const host_lengths& lengths) noexcept {
  return in_parameters(lengths);
}

/// lay_documents_async of lengths in either memory.
template <typename Given>
cudaError_t lay_async(const Given& given, std::size_t count, const indices::document_layout& layout,
                      const device_document_arrays& arrays, cudaStream_t stream) noexcept {
  const cudaError_t checked = code_of([&] { check_documents(given, layout, arrays); });
  if (checked != cudaSuccess) return checked;
  const auto documents = static_cast<std::int64_t>(count);
  const auto lengths = for_kernel(given);
  return scan_async<row_summary>(
      summarize_length<std::remove_const_t<decltype(lengths)>>{lengths, layout.multiple},
      append_row{}, documents, store_offsets_of(documents, layout, arrays), stream);
}

}  // namespace detail

inline cudaError_t lay_documents_async(std::span<const std::int32_t> lengths,
                                       const indices::document_layout& layout,
                                       const device_document_arrays& arrays,
                                       cudaStream_t stream) noexcept {
  return detail::lay_async(lengths, lengths.size(), layout, arrays, stream);
}

inline cudaError_t lay_documents_async(const host_lengths& lengths,
                                       const indices::document_layout& layout,
                                       const device_document_arrays& arrays,
                                       cudaStream_t stream) noexcept {
  return detail::lay_async(lengths, lengths.lengths.size(), layout, arrays, stream);
}

inline row_summary lay_documents(std::span<const std::int32_t> lengths,
                                 const indices::document_layout& layout,
                                 const device_document_arrays& arrays, cudaStream_t stream) {
  detail::check_documents(lengths, layout, arrays);
  require(lay_documents_async(lengths, layout, arrays, stream), "lay_documents");
  const row_summary row = detail::fetch(arrays.summary, stream, "lay_documents");
  detail::require_valid(row, lengths, layout, stream, "lay_documents");
  return row;
}

inline row_summary lay_documents(const host_lengths& lengths,
                                 const indices::document_layout& layout,
                                 const device_document_arrays& arrays, cudaStream_t stream) {
  detail::check_documents(lengths, layout, arrays);
  require(lay_documents_async(lengths, layout, arrays, stream), "lay_documents");
  return detail::fetch(arrays.summary, stream, "lay_documents");
}

}  // namespace omnibal::inline v0::gpu
