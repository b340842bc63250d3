// SPDX-License-Identifier: Apache-2.0
/// @file
/// How messages in host memory reach the device and come back, without a wait that has no end.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <span>

#include <cuda_runtime_api.h>

#include <omnibal/comm/detail/nccl_device.hpp>
#include <omnibal/comm/detail/nccl_handle.hpp>
#include <omnibal/config.hpp>

namespace omnibal::inline v0::detail {

/// Copies go through a pinned buffer, piece by piece, and every wait is one of the handle: a copy
/// of memory that is not pinned would block without a deadline behind a kernel that never ends.
class nccl_host_copies {
 public:
  [[nodiscard]] cudaError_t open() { return staging_.open(); }
  [[nodiscard]] cudaStream_t stream() const noexcept { return staging_.stream(); }

  /// Device memory; that of the call before is lost.
  [[nodiscard]] std::span<std::byte> stage(nccl_handle& handle, const nccl_place& at,
                                           std::size_t bytes) {
    handle.require_open(at);
    const device_guard guard(handle.device());
    handle.require(staging_.reserve(bytes), at);
    return {staging_.memory(), bytes};
  }

  void to_device(nccl_handle& handle, const nccl_place& at, std::span<const std::byte> from,
                 std::span<std::byte> to) {
    in_pieces(handle, from.size(), [&](std::size_t first, std::span<std::byte> piece) {
      std::memcpy(piece.data(), from.data() + first, piece.size());
      copy(handle, at, piece, to.subspan(first, piece.size()));
    });
  }

  void to_host(nccl_handle& handle, const nccl_place& at, std::span<const std::byte> from,
               std::span<std::byte> to) {
    in_pieces(handle, from.size(), [&](std::size_t first, std::span<std::byte> piece) {
      copy(handle, at, from.subspan(first, piece.size()), piece);
      std::memcpy(to.data() + first, piece.data(), piece.size());
    });
  }

 private:
  template <typename Body>
  void in_pieces(const nccl_handle& handle, std::size_t bytes, const Body& body) {
    const device_guard guard(handle.device());
    const std::span<std::byte> buffer = staging_.buffer();
    for (std::size_t first = 0; first < bytes; first += buffer.size())
      body(first, buffer.first(std::min(buffer.size(), bytes - first)));
  }

  void copy(nccl_handle& handle, const nccl_place& at, std::span<const std::byte> from,
            std::span<std::byte> to) {
    handle.require(
        cudaMemcpyAsync(to.data(), from.data(), from.size(), cudaMemcpyDefault, stream()), at);
    handle.wait(stream(), at);
  }

  device_staging staging_;
};

}  // namespace omnibal::inline v0::detail
