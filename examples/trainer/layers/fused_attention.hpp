// SPDX-License-Identifier: Apache-2.0
/// @file
/// Attention by the kernels of cuDNN where the machine has them and was asked for them, otherwise
/// row by row as in attention.hpp, which is what cuDNN's is compared with.
///
///     const auto forward = attend_fast(on, qkv, shape, mask, groups);
#pragma once

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "../machine.hpp"
#include "attention.hpp"

namespace omnibal::trainer {

/// Rows that see each other, as the host knows them: group i has rows begin[i] … begin[i + 1] − 1.
struct row_groups {
  std::vector<std::int32_t> begin = {};  ///< [groups + 1]
  bool is_causal = false;                ///< A row sees those of its group up to itself.
};

#if defined(OMNIBAL_TRAINER_CUDNN)

namespace detail {

/// Groups on the machine. cuDNN makes a plan for each number of groups and longest group, which
/// takes long: both are rounded up to a power of two, and the groups beyond the last have no rows.
class placed_groups {
 public:
  placed_groups(machine& on, const row_groups& groups, const head_shape& shape)
      : shape_{.heads = static_cast<std::int64_t>(shape.heads),
               .key_heads = static_cast<std::int64_t>(shape.key_heads),
               .width = static_cast<std::int64_t>(shape.width),
               .groups = static_cast<std::int64_t>(std::bit_ceil(groups.begin.size() - 1)),
               .is_causal = groups.is_causal} {
    const auto count = static_cast<std::size_t>(shape_.groups);
    std::vector<std::int32_t> lengths(count);
    std::vector<std::int64_t> offsets(3 * (count + 1));
    std::int32_t longest = 64;
    for (std::size_t i = 0; i <= count; ++i) {
      const std::int32_t begin = groups.begin[std::min(i, groups.begin.size() - 1)];
      if (i + 1 < groups.begin.size()) lengths[i] = groups.begin[i + 1] - begin;
      if (i < count) longest = std::max(longest, lengths[i]);
      offsets[i] = begin * static_cast<std::int64_t>(shape.columns());
      offsets[count + 1 + i] = begin * static_cast<std::int64_t>(shape.query_columns());
      offsets[2 * (count + 1) + i] = begin * shape_.heads;
    }
    shape_.longest = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint32_t>(longest)));
    lengths_ = placed<std::int32_t>(on, std::span<const std::int32_t>(lengths));
    offsets_ = placed<std::int64_t>(on, std::span<const std::int64_t>(offsets));
  }

  [[nodiscard]] const ragged_shape& shape() const noexcept { return shape_; }
  [[nodiscard]] ragged_rows rows() const noexcept {
    const std::int64_t each = shape_.groups + 1;
    return {.lengths = lengths_.data(),
            .of_queries_keys = offsets_.data(),
            .of_output = offsets_.data() + each,
            .of_log_sums = offsets_.data() + 2 * each};
  }

 private:
  ragged_shape shape_;
  buffer<std::int32_t> lengths_;
  buffer<std::int64_t> offsets_;
};

inline void run_fused(machine& on, attention_pass pass, const placed_groups& groups,
                      const ragged_tensors& tensors) {
  cudnn_attention& attention = on.hardware().attention();
  const buffer<std::byte> workspace(on, attention.workspace_bytes(pass, groups.shape()));
  attention.run(pass, groups.shape(), groups.rows(), tensors, workspace.data());
}

/// The tensors that both passes read or write; cuDNN's interface has no constants.
[[nodiscard]] inline ragged_tensors fused_tensors(const matrix<bf16_number>& qkv,
                                                  const attended<bf16_number>& forward,
                                                  const head_shape& shape) {
  auto* const rows = const_cast<bf16_number*>(qkv.view().data);
  return {.queries = rows,
          .keys = rows + shape.key(0),
          .values = rows + shape.value(0),
          .output = const_cast<bf16_number*>(forward.output.view().data),
          .log_sums = const_cast<float*>(forward.log_sums.view().data)};
}

}  // namespace detail

/// attend() by cuDNN. Probabilities are rounded to bf16 before they meet the values. Its workspace
/// is counted among the activations while it runs.
[[nodiscard]] inline attended<bf16_number> fused_attend(machine& on, const matrix<bf16_number>& qkv,
                                                        const head_shape& shape,
                                                        const row_groups& groups) {
  attended<bf16_number> result{matrix<bf16_number>(on, qkv.rows(), shape.query_columns()),
                               matrix<float>(on, qkv.rows(), shape.heads)};
  if (qkv.rows() > 0)
    detail::run_fused(on, detail::attention_pass::forward, detail::placed_groups(on, groups, shape),
                      detail::fused_tensors(qkv, result, shape));
  return result;
}

/// attention_gradient() by cuDNN.
[[nodiscard]] inline matrix<bf16_number> fused_attention_gradient(
    machine& on, const matrix<bf16_number>& qkv, const attended<bf16_number>& forward,
    const matrix<bf16_number>& dy, const head_shape& shape, const row_groups& groups) {
  matrix<bf16_number> result(on, qkv.rows(), qkv.columns());
  if (qkv.rows() == 0) return result;
  detail::ragged_tensors tensors = detail::fused_tensors(qkv, forward, shape);
  tensors.output_gradient = const_cast<bf16_number*>(dy.view().data);
  bf16_number* const rows = result.view().data;
  tensors.query_gradient = rows;
  tensors.key_gradient = rows + shape.key(0);
  tensors.value_gradient = rows + shape.value(0);
  detail::run_fused(on, detail::attention_pass::backward, detail::placed_groups(on, groups, shape),
                    tensors);
  return result;
}

#endif

/// attend() by the kernels that the machine was asked for.
template <typename Real, typename Mask>
[[nodiscard]] attended<Real> attend_fast(machine& on, const matrix<Real>& qkv,
                                         const head_shape& shape, const Mask& mask,
                                         [[maybe_unused]] const row_groups& groups) {
#if defined(OMNIBAL_TRAINER_CUDNN)
  if constexpr (std::same_as<Real, bf16_number>)
    if (on.fused_attention) return fused_attend(on, qkv, shape, groups);
#endif
  return attend(on, qkv, shape, mask);
}

/// attention_gradient() by the same.
template <typename Real, typename Mask>
[[nodiscard]] matrix<Real> attention_gradient_fast(machine& on, const matrix<Real>& qkv,
                                                   const attended<Real>& forward,
                                                   const matrix<Real>& dy, const head_shape& shape,
                                                   const Mask& mask,
                                                   [[maybe_unused]] const row_groups& groups) {
#if defined(OMNIBAL_TRAINER_CUDNN)
  if constexpr (std::same_as<Real, bf16_number>)
    if (on.fused_attention) return fused_attention_gradient(on, qkv, forward, dy, shape, groups);
#endif
  return attention_gradient(on, qkv, forward, dy, shape, mask);
}

}  // namespace omnibal::trainer
