// SPDX-License-Identifier: Apache-2.0
/// @file
/// Device memory that NCCL has been told of, so that its kernels and its network read and write it
/// directly. Made by nccl_channel::register_memory; needs NCCL 2.19 or newer.
///
///     const auto registered = channel.register_memory(view_of_gradients);
#pragma once

#include <memory>
#include <utility>

#include <nccl.h>

#include <omnibal/comm/detail/nccl_ticket.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

#if NCCL_VERSION_CODE >= NCCL_VERSION(2, 19, 0)

namespace omnibal::inline v0 {

/// The registration of memory with one channel, taken back when it is destroyed; the end of the
/// channel, also by an abort, takes it back before. Destroyed when no operation uses the memory any
/// more, and before that is freed, by the thread of the channel.
class nccl_registration {
 public:
  nccl_registration(std::shared_ptr<detail::nccl_channel_state> channel, tensor_view memory)
      : channel_(std::move(channel)) {
    if (memory.bytes() == 0)
      throw invalid_input("memory", memory.bytes(), "must have bytes to register");
    channel_->handle.call({channel_->rank, "register_memory", 0}, [&](ncclComm_t comm) {
      return ncclCommRegister(comm, memory.data, memory.bytes(), &registered_);
    });
  }
  nccl_registration(nccl_registration&& other) noexcept
      : channel_(std::move(other.channel_)),
        registered_(std::exchange(other.registered_, nullptr)) {}
  nccl_registration& operator=(nccl_registration&&) = delete;
  ~nccl_registration() {
    if (registered_ == nullptr) return;
    channel_->handle.try_call(
        [&](ncclComm_t comm) { return ncclCommDeregister(comm, registered_); });
  }

 private:
  std::shared_ptr<detail::nccl_channel_state> channel_;
  void* registered_ = nullptr;  // also null where NCCL was told not to register
};

}  // namespace omnibal::inline v0

#endif
