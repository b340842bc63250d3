// SPDX-License-Identifier: Apache-2.0
/// @file
/// Interleaved 1F1B: v virtual stages per device, stage j on device j mod p. A group of
/// micro-batches passes through a device's first virtual stage, then its second, …; backwards take
/// the virtual stages in reverse. A smaller bubble than 1F1B for v times the transfers.
///
/// Source: Narayanan et al., SC 2021; the group size and its rule are those of Megatron-LM's
/// microbatch_group_size_per_vp_stage.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/pipeline/detail/turns.hpp>
#include <omnibal/pipeline/operation.hpp>
#include <omnibal/pipeline/schedule_size.hpp>

namespace omnibal::inline v0::schedules {

struct interleaved {
  static constexpr std::string_view name = "interleaved";
  static constexpr schedule_capabilities capabilities = {
      .most_virtual_stages = schedule_size::largest, .in_megatron_lm = true};

  static void validate(const schedule_size& size) {
    if (size.group_size != 0 && size.group_size < size.stages)
      throw invalid_input("group_size", size.group_size, "must not be less than the stages");
    if (runnable_microbatches(size, size.microbatches) == size.microbatches) return;
    if (group(size) == size.stages)
      throw invalid_input("microbatches", size.microbatches,
                          "must be a multiple of the stages when interleaved");
    throw invalid_input("microbatches", size.microbatches,
                        "must leave a last group of no micro-batch or of at least as many as "
                        "there are stages: group_size is " +
                            std::to_string(group(size)));
  }
  /// The last group must be whole or have at least p micro-batches.
  [[nodiscard]] static std::size_t runnable_microbatches(const schedule_size& size,
                                                         std::size_t microbatches) {
    const std::size_t rest = microbatches % group(size);
    return rest == 0 || rest >= size.stages ? microbatches : microbatches - rest + size.stages;
  }
  [[nodiscard]] static std::size_t device(const schedule_size& size, std::size_t stage) {
    return stage % size.stages;
  }
  [[nodiscard]] static std::vector<pipeline_operation> order(const schedule_size& size,
                                                             std::size_t device) {
    return detail::in_turn(
        passes(size, device, operation_kind::forward),
        passes(size, device, operation_kind::backward),
        2 * (size.stages - device - 1) + (size.virtual_stages - 1) * group(size));
  }

 private:
  [[nodiscard]] static std::size_t group(const schedule_size& size) {
    return size.group_size != 0 ? size.group_size : size.stages;
  }

  [[nodiscard]] static std::vector<pipeline_operation> passes(const schedule_size& size,
                                                              std::size_t device,
                                                              operation_kind kind) {
    std::vector<pipeline_operation> order;
    order.reserve(size.microbatches * size.virtual_stages);
    for (std::size_t begin = 0; begin < size.microbatches; begin += group(size)) {
      const std::size_t end = std::min(begin + group(size), size.microbatches);
      for (std::size_t turn = 0; turn < size.virtual_stages; ++turn) {
        const std::size_t chunk =
            kind == operation_kind::forward ? turn : size.virtual_stages - 1 - turn;
        for (std::size_t m = begin; m < end; ++m)
          order.push_back(detail::operation_of(kind, chunk * size.stages + device, m));
      }
    }
    return order;
  }
};

}  // namespace omnibal::inline v0::schedules
