// SPDX-License-Identifier: Apache-2.0
/// @file
/// Calls of NCCL grouped into one operation.
#pragma once

#include <nccl.h>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

/// Groups NCCL calls into one operation, which starts at end(). Stores the first failure, since an
/// exception between start and end would leave NCCL waiting for the remaining calls.
class nccl_group {
 public:
  nccl_group() { add(ncclGroupStart()); }
  nccl_group(nccl_group&&) = delete;
  nccl_group& operator=(nccl_group&&) = delete;
  ~nccl_group() {
    if (open_) ncclGroupEnd();
  }

  void add(ncclResult_t result) noexcept {
    if (result_ == ncclSuccess || result_ == ncclInProgress) result_ = result;
  }

  /// Starts the operation; returns the first failure of the group, or success or ncclInProgress.
  [[nodiscard]] ncclResult_t end() noexcept {
    open_ = false;
    add(ncclGroupEnd());
    return result_;
  }

 private:
  ncclResult_t result_ = ncclSuccess;
  bool open_ = true;
};

}  // namespace omnibal::inline v0
