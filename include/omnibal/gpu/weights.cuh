// SPDX-License-Identifier: Apache-2.0
/// @file
/// Weights of documents in the loss, on the device: how many labels each has, its weight, and the
/// divisors of the loss. The device form of indices/weights.hpp; fill_tokens (tokens.cuh) then
/// gives each slot the weight of its document.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <cuda_runtime.h>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/gpu/detail/count.cuh>
#include <omnibal/gpu/detail/fill.cuh>
#include <omnibal/gpu/detail/scan.cuh>
#include <omnibal/gpu/detail/wait.cuh>
#include <omnibal/indices/cursor.hpp>
#include <omnibal/indices/tokens.hpp>
#include <omnibal/indices/weights.hpp>

namespace omnibal::inline v0::gpu {

/// Outputs of weigh_documents in device memory.
struct device_document_weights {
  std::span<std::int32_t> label_count = {};  ///< [documents], needed
  std::span<float> weight = {};              ///< [documents], or empty
  indices::weight_sums* sums = nullptr;      ///< 1, needed
};

/// Counts the labels that `policy` leaves to each document and weighs the documents, as
/// indices::weigh_documents does. Enqueues a memset and two kernels on `stream`, allocates nothing
/// and may be captured. Sums are made in an order that depends on the number of documents alone:
/// the same bits every run, which may be other bits than the host's.
///
/// Returns cudaErrorInvalidValue for sizes that are wrong. O(slots + documents).
cudaError_t weigh_documents_async(const indices::document_row& row,
                                  std::span<const std::int64_t> labels,
                                  const indices::label_policy& policy,
                                  indices::loss_weighting weighting,
                                  const device_document_weights& arrays,
                                  cudaStream_t stream) noexcept;

/// The same, and waits for it. Throws invalid_input and cuda_error.
indices::weight_sums weigh_documents(const indices::document_row& row,
                                     std::span<const std::int64_t> labels,
                                     const indices::label_policy& policy,
                                     indices::loss_weighting weighting,
                                     const device_document_weights& arrays,
                                     cudaStream_t stream = nullptr);

namespace detail {

struct count_label {
  indices::document_row row;
  indices::label_of label;
  std::int32_t* counts;
  document_count* own;

  __device__ void operator()(std::int64_t slot, std::int32_t document, std::int64_t begin,
                             std::int64_t end) const {
    const indices::token_cursor at = indices::cursor_between(row, slot, document, begin, end);
    own->add(document, label(at) != indices::ignored_label ? 1 : 0, counts);
  }
};

template <unsigned Threads>
__global__ void __launch_bounds__(Threads)
    count_labels(indices::document_row row, indices::label_of label, std::int32_t* counts) {
  __shared__ tile_storage storage;
  let_next_kernel_begin();
  document_count own;
  visit_tile({row.cu_seqlens_padded, row.documents, row.slots},
             count_label{row, label, counts, &own}, storage);
  own.finish(counts);
}

/// Document → what it adds to the sums.
struct weigh_document {
  indices::document_row row;
  indices::label_of label;
  indices::loss_weighting weighting;
  const std::int32_t* counts;

  [[nodiscard]] OMNIBAL_HD indices::weight_sums operator()(std::int64_t document) const noexcept {
    const auto number = static_cast<std::int32_t>(document);
    const double weight = indices::weight_of_document(weighting, counts[document]);
    const indices::token_cursor first =
        indices::cursor_in(row, number, row.cu_seqlens_padded[document]);
    const bool in_slot_0 =
        first.slot == 0 && first.length > 0 && label(first) != indices::ignored_label;
    return {.all = weight * counts[document],
            .after_slot_0 = weight * (counts[document] - (in_slot_0 ? 1 : 0))};
  }
};

struct add_weights {
  [[nodiscard]] OMNIBAL_HD constexpr indices::weight_sums operator()(
      const indices::weight_sums& a, const indices::weight_sums& b) const noexcept {
    return {a.all + b.all, a.after_slot_0 + b.after_slot_0};
  }
};

struct store_weight {
  indices::loss_weighting weighting;
  const std::int32_t* counts;
  float* weight;
  indices::weight_sums* sums;

  OMNIBAL_HD void operator()(std::int64_t document,
                             const indices::weight_sums& /*sum*/) const noexcept {
    if (weight != nullptr)
      weight[document] = indices::weight_of_document(weighting, counts[document]);
  }
  OMNIBAL_HD constexpr void finish(const indices::weight_sums& all, unsigned thread,
                                   unsigned /*threads*/) const noexcept {
    if (thread == 0) *sums = all;
  }
};

inline void check_weights(const indices::document_row& row, std::span<const std::int64_t> labels,
                          const device_document_weights& arrays) {
  const auto documents = static_cast<std::size_t>(row.documents);
  require_entries(labels.size(), static_cast<std::size_t>(row.slots), "labels");
  require_entries(arrays.label_count.size(), documents, "label_count");
  if (!arrays.weight.empty()) require_entries(arrays.weight.size(), documents, "weight");
  if (arrays.sums == nullptr) throw invalid_input("sums", "null", "must be device memory");
}

}  // namespace detail

inline cudaError_t weigh_documents_async(const indices::document_row& row,
                                         std::span<const std::int64_t> labels,
                                         const indices::label_policy& policy,
                                         indices::loss_weighting weighting,
                                         const device_document_weights& arrays,
                                         cudaStream_t stream) noexcept {
  cudaError_t code = detail::code_of([&] { detail::check_weights(row, labels, arrays); });
  if (code != cudaSuccess) return code;
  std::int32_t* const counts = arrays.label_count.data();
  const indices::label_of label{labels.data(), policy};
  if (row.documents > 0) code = cudaMemsetAsync(counts, 0, arrays.label_count.size_bytes(), stream);
  if (code == cudaSuccess && row.documents > 0 && row.slots > 0)
    code = detail::launch(
        detail::start::after_previous,
        static_cast<unsigned>((row.slots + detail::fill_tile - 1) / detail::fill_tile),
        detail::fill_threads, stream, detail::count_labels<detail::fill_threads>, row, label,
        counts);
  if (code != cudaSuccess) return code;
  return detail::scan_async<indices::weight_sums>(
      detail::weigh_document{row, label, weighting, counts}, detail::add_weights{}, row.documents,
      detail::store_weight{weighting, counts, detail::wanted(arrays.weight), arrays.sums}, stream);
}

inline indices::weight_sums weigh_documents(const indices::document_row& row,
                                            std::span<const std::int64_t> labels,
                                            const indices::label_policy& policy,
                                            indices::loss_weighting weighting,
                                            const device_document_weights& arrays,
                                            cudaStream_t stream) {
  detail::check_weights(row, labels, arrays);
  require(weigh_documents_async(row, labels, policy, weighting, arrays, stream), "weigh_documents");
  return detail::fetch(arrays.sums, stream, "weigh_documents");
}

}  // namespace omnibal::inline v0::gpu
