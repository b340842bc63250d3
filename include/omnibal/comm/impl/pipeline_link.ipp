// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <omnibal/comm/pipeline_link.hpp>
#include <omnibal/config.hpp>
#include <omnibal/pipeline/execution_item.hpp>

namespace omnibal::inline v0::detail {

OMNIBAL_INLINE std::string to_string(const pipeline_passage& passed) {
  return std::string(passed.is_gradient ? "gradient" : "activation") + " after stage " +
         std::to_string(passed.stage) + ", micro-batch " + std::to_string(passed.microbatch);
}

OMNIBAL_INLINE pipeline_passage passage_into(const execution_item& item) {
  const bool is_gradient =
      item.kind == item_kind::backward || item.kind == item_kind::receive_gradient;
  return {is_gradient, is_gradient ? item.stage : item.stage - 1, item.microbatch};
}

OMNIBAL_INLINE pipeline_passage passage_out_of(const execution_item& item) {
  const bool is_gradient =
      item.kind == item_kind::backward || item.kind == item_kind::send_gradient;
  return {is_gradient, is_gradient ? item.stage - 1 : item.stage, item.microbatch};
}

}  // namespace omnibal::inline v0::detail
