// SPDX-License-Identifier: Apache-2.0
/// @file
/// How the owner of memory that a channel reads or writes goes away before the operation has ended.
#pragma once

#include <exception>
#include <string_view>

#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// Aborts the channel unless the operation has ended, and returns when the channel leaves its
/// memory alone: an aborted one does so once it has thrown.
template <tensor_channel Channel>
void give_up(Channel& channel, typename Channel::ticket& operation,
             std::string_view reason) noexcept {
  try {
    if (operation.done()) return;
    channel.abort(reason);
    operation.wait();
  } catch (const std::exception&) {
    // It has failed: that is what was waited for.
  }
}

}  // namespace omnibal::inline v0::detail
