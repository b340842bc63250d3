// SPDX-License-Identifier: Apache-2.0
/// @file
/// Communicators of a process that fail together.
///
///     const auto set = std::make_shared<nccl_communicator_set>();
///     nccl_channel pipeline(id, rank, size, {.name = "pipeline", .set = set});
///     nccl_channel gradients(other_id, rank, size, {.name = "gradients", .set = set});
///
/// When one communicator of a set fails or is aborted, all are. One alone may not get free: its
/// abort releases device memory, which waits for the kernels of the others, and those for ranks
/// that have failed.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/detail/nccl_abort.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// Of one rank: communicators of another rank in the same process are in another set. Used by any
/// thread.
class nccl_communicator_set {
 public:
  /// Ends this rank's operations on all communicators of the set; later calls fail with the
  /// reason. Returns at once; where NCCL has not aborted by the deadline, the process ends.
  void abort(std::string_view reason,
             std::chrono::milliseconds deadline = std::chrono::seconds(10)) noexcept {
    detail::begin_abort(members(), reason, deadline);
  }

  /// For communicators alone: those that have ended are forgotten.
  void add(const std::shared_ptr<detail::nccl_shared>& communicator) {
    const std::scoped_lock lock(mutex_);
    std::erase_if(members_, [](const auto& member) { return member.expired(); });
    members_.push_back(communicator);
  }
  [[nodiscard]] std::vector<std::shared_ptr<detail::nccl_shared>> members() const {
    const std::scoped_lock lock(mutex_);
    std::vector<std::shared_ptr<detail::nccl_shared>> alive;
    for (const auto& member : members_)
      if (auto communicator = member.lock()) alive.push_back(std::move(communicator));
    return alive;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::weak_ptr<detail::nccl_shared>> members_;
};

}  // namespace omnibal::inline v0
