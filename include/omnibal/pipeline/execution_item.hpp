// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a rank does in a training step, one item after the other: operations, messages to other
/// ranks, and the reductions and the optimizer at the end. pipeline/message_order.hpp makes the
/// items of a schedule, pipeline/simulate_items.hpp runs them in a model.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// The stage of an item is always one of the rank's own.
enum class item_kind : std::uint8_t {
  forward,
  backward,
  weight_gradient,
  send_activation,     ///< The output of the stage's forward, to the rank of the next stage.
  receive_activation,  ///< The input of the stage's forward, from the rank of the stage before.
  send_gradient,       ///< The gradient of the stage's input, to the rank of the stage before.
  receive_gradient,    ///< The gradient of the stage's output, from the rank of the next stage.
  reduce,              ///< Sums the stage's gradients over the replicas: each of them takes part.
  step,                ///< The optimizer's step on the stage's parameters.
  gather,              ///< Collects the stage's parameters, sharded over the replicas, on each.
};

/// The names of the kinds in files, in their order.
inline constexpr std::array<std::string_view, 10> item_kind_names = {"forward",
                                                                     "backward",
                                                                     "weight_gradient",
                                                                     "send_activation",
                                                                     "receive_activation",
                                                                     "send_gradient",
                                                                     "receive_gradient",
                                                                     "reduce",
                                                                     "step",
                                                                     "gather"};

[[nodiscard]] constexpr std::string_view to_string(item_kind kind) noexcept {
  const auto index = static_cast<std::size_t>(kind);
  return index < item_kind_names.size() ? item_kind_names[index] : "unknown";
}

/// Forward, backward and weight gradient of one micro-batch.
[[nodiscard]] constexpr bool is_operation(item_kind kind) noexcept {
  return kind <= item_kind::weight_gradient;
}
/// A send or a receive.
[[nodiscard]] constexpr bool is_message(item_kind kind) noexcept {
  return kind >= item_kind::send_activation && kind <= item_kind::receive_gradient;
}
[[nodiscard]] constexpr bool is_send(item_kind kind) noexcept {
  return kind == item_kind::send_activation || kind == item_kind::send_gradient;
}
/// What all replicas do together.
[[nodiscard]] constexpr bool is_collective(item_kind kind) noexcept {
  return kind == item_kind::reduce || kind == item_kind::gather;
}

struct execution_item {
  static constexpr std::uint32_t no_peer = 0xFFFFFFFF;

  item_kind kind = item_kind::forward;
  std::uint32_t stage = 0;
  std::uint32_t microbatch = 0;  ///< 0 for reduce, step and gather.
  std::uint32_t peer = no_peer;  ///< Of a message: the rank at its other end.

  friend bool operator==(const execution_item&, const execution_item&) = default;
};

/// The other end of a message of `rank`. Precondition: is_message(item.kind).
[[nodiscard]] constexpr execution_item other_end(const execution_item& item,
                                                 std::uint32_t rank) noexcept {
  execution_item other{.microbatch = item.microbatch, .peer = rank};
  switch (item.kind) {
    case item_kind::send_activation:
      other.kind = item_kind::receive_activation;
      other.stage = item.stage + 1;
      break;
    case item_kind::receive_activation:
      other.kind = item_kind::send_activation;
      other.stage = item.stage - 1;
      break;
    case item_kind::send_gradient:
      other.kind = item_kind::receive_gradient;
      other.stage = item.stage - 1;
      break;
    default:
      other.kind = item_kind::send_gradient;
      other.stage = item.stage + 1;
      break;
  }
  return other;
}

/// "send_activation of stage 3, micro-batch 0, with rank 4".
[[nodiscard]] inline std::string to_string(const execution_item& item) {
  std::string text = std::string(to_string(item.kind)) + " of stage " + std::to_string(item.stage);
  if (is_operation(item.kind) || is_message(item.kind))
    text += ", micro-batch " + std::to_string(item.microbatch);
  if (is_message(item.kind)) text += ", with rank " + std::to_string(item.peer);
  return text;
}

}  // namespace omnibal::inline v0
