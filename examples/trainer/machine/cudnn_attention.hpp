// SPDX-License-Identifier: Apache-2.0
/// @file
/// Attention of packed rows by cuDNN, forward and backward: scaled dot products within groups of
/// rows of any lengths (ragged). cuDNN takes bf16 and no other numbers that the trainer has; it
/// needs GPUs of compute capability 9.0 or newer, since only there the backward reads logarithms
/// that are packed.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>

#include <cuda_runtime_api.h>

namespace omnibal::trainer::detail {

/// What a plan of cuDNN is made for. Plans serve up to so many groups and rows of a group.
struct ragged_shape {
  std::int64_t heads = 0;
  std::int64_t key_heads = 0;
  std::int64_t width = 0;  ///< A multiple of 8, at most 128.
  std::int64_t groups = 0;
  std::int64_t longest = 0;  ///< Rows.
  bool is_causal = false;

  auto operator<=>(const ragged_shape&) const = default;
};

/// Where the rows of groups are, on the GPU. Offsets are in elements, [groups + 1]; groups beyond
/// the last have no rows and the offsets of its end.
struct ragged_rows {
  std::int32_t* lengths = nullptr;          ///< [groups]
  std::int64_t* of_queries_keys = nullptr;  ///< Rows of queries, keys and values.
  std::int64_t* of_output = nullptr;
  std::int64_t* of_log_sums = nullptr;
};

/// Rows of bf16 but for log_sums, on the GPU; queries, keys and values are parts of the same rows.
struct ragged_tensors {
  void* queries = nullptr;
  void* keys = nullptr;
  void* values = nullptr;
  void* output = nullptr;
  float* log_sums = nullptr;
  // The backward's.
  void* output_gradient = nullptr;
  void* query_gradient = nullptr;
  void* key_gradient = nullptr;
  void* value_gradient = nullptr;
};

enum class attention_pass : std::uint8_t { forward, backward };

/// The plans of one stream. Throws std::runtime_error with cuDNN's words.
class cudnn_attention {
 public:
  explicit cudnn_attention(cudaStream_t stream);
  cudnn_attention(const cudnn_attention&) = delete;
  cudnn_attention& operator=(const cudnn_attention&) = delete;
  ~cudnn_attention();

  /// Bytes that run() needs beside its tensors. Makes the plan where there is none for the shape.
  [[nodiscard]] std::size_t workspace_bytes(attention_pass pass, const ragged_shape& shape);
  /// Enqueues the pass on the stream.
  void run(attention_pass pass, const ragged_shape& shape, const ragged_rows& rows,
           const ragged_tensors& tensors, void* workspace);

 private:
  struct plans;
  std::unique_ptr<plans> plans_;
};

}  // namespace omnibal::trainer::detail
