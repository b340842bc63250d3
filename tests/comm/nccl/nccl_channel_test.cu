// SPDX-License-Identifier: Apache-2.0
/// @file
/// nccl_channel on device memory that kernels write and read, one process a rank; several ranks may
/// share a GPU, as device_ranks.hpp has it. A kernel that is given to the stream after an
/// operation reads what the operation has written, and nobody waits in between. Exits with 77
/// without a GPU.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <cuda_runtime.h>

#include <omnibal/comm/nccl_channel.hpp>
#include <omnibal/comm/watchdog.hpp>

#include "comm/collective_checks.hpp"
#include "comm/nccl/device_ranks.hpp"

namespace {

using collective_checks::expect;
using omnibal::nccl_channel;
using omnibal::reduction;

__host__ __device__ std::int64_t value_of(std::size_t rank, std::size_t index) {
  return static_cast<std::int64_t>(rank * 1000 + index);
}

__global__ void fill(std::int64_t* values, std::size_t count, std::size_t rank) {
  for (std::size_t i = threadIdx.x; i < count; i += blockDim.x) values[i] = value_of(rank, i);
}

/// Counts elements i that are not the sum over `ranks` of what each has at first + i.
__global__ void count_wrong_sums(const std::int64_t* values, std::size_t count, std::size_t first,
                                 std::size_t ranks, unsigned long long* wrong) {
  for (std::size_t i = threadIdx.x; i < count; i += blockDim.x) {
    std::int64_t expected = 0;
    for (std::size_t r = 0; r < ranks; ++r) expected += value_of(r, first + i);
    if (values[i] != expected) atomicAdd(wrong, 1ULL);
  }
}

/// Counts elements i that are not what `rank` has at first + i.
__global__ void count_wrong(const std::int64_t* values, std::size_t count, std::size_t first,
                            std::size_t rank, unsigned long long* wrong) {
  for (std::size_t i = threadIdx.x; i < count; i += blockDim.x)
    if (values[i] != value_of(rank, first + i)) atomicAdd(wrong, 1ULL);
}

/// Device memory for elements of this rank.
struct device_values {
  explicit device_values(std::size_t size) : count(size) {
    require(cudaMalloc(&data, (size + 1) * sizeof(std::int64_t)));
  }
  device_values(device_values&&) = delete;
  device_values& operator=(device_values&&) = delete;
  ~device_values() { cudaFree(data); }

  omnibal::tensor_view view() const {
    return {reinterpret_cast<std::byte*>(data), count, omnibal::element_type::i64};
  }

  std::size_t count;
  std::int64_t* data = nullptr;
};

class device_checks {
 public:
  explicit device_checks(nccl_channel& channel) : channel_(channel) {
    require(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking));
    require(cudaMallocManaged(&wrong_, sizeof(*wrong_)));
    *wrong_ = 0;
  }
  device_checks(device_checks&&) = delete;
  device_checks& operator=(device_checks&&) = delete;
  ~device_checks() {
    cudaFree(wrong_);
    cudaStreamDestroy(stream_);
  }

  void run(std::size_t count) {
    const std::size_t rank = channel_.rank();
    const std::vector<std::size_t> counts = {count, 3};
    const device_values own(count + 3);
    const device_values part(counts[rank]);
    const device_values other(count + 3);
    write(own);
    channel_.all_reduce(own.view(), reduction::sum, stream_);
    check_sums(own, 0);
    write(own);
    channel_.reduce_scatter(own.view(), part.view(), counts, reduction::sum, stream_);
    check_sums(part, rank == 0 ? 0 : count);
    write(part);
    channel_.all_gather(part.view(), other.view(), counts, stream_);
    check_part(other.data, count, 0, 0);
    check_part(other.data + count, 3, 0, 1);
    write(own);
    channel_.broadcast(own.view(), 1, stream_);
    check_part(own.data, own.count, 0, 1);
    exchange(own, other, count);
    auto last = channel_.all_reduce(own.view(), reduction::largest, stream_);
    last.wait();
    require(cudaStreamSynchronize(stream_));
    expect(*wrong_ == 0, std::to_string(*wrong_) + " wrong elements of " + std::to_string(count));
  }

 private:
  /// Rank 0 sends `count` elements and rank 1 three, by an all_to_all and by a group of messages.
  void exchange(const device_values& own, const device_values& other, std::size_t count) {
    const std::size_t rank = channel_.rank();
    const std::size_t sent = rank == 0 ? count : 3;
    const std::size_t received = rank == 0 ? 3 : count;
    const std::vector<std::size_t> sent_counts = {rank == 0 ? 0 : sent, rank == 0 ? sent : 0};
    const std::vector<std::size_t> received_counts = {rank == 0 ? 0 : received,
                                                      rank == 0 ? received : 0};
    write(own);
    channel_.all_to_all(own.view().part(0, sent), sent_counts, other.view().part(0, received),
                        received_counts, stream_);
    check_part(other.data, received, 0, 1 - rank);
    require(cudaMemsetAsync(other.data, 0, other.count * sizeof(std::int64_t), stream_));
    omnibal::in_group(channel_, [&] {
      channel_.send(own.view().part(0, sent), 1 - rank, stream_);
      channel_.receive(other.view().part(0, received), 1 - rank, stream_);
    });
    check_part(other.data, received, 0, 1 - rank);
  }

  void write(const device_values& values) {
    fill<<<1, 256, 0, stream_>>>(values.data, values.count, channel_.rank());
  }
  void check_sums(const device_values& values, std::size_t first) {
    count_wrong_sums<<<1, 256, 0, stream_>>>(values.data, values.count, first, rank_count, wrong_);
  }
  void check_part(const std::int64_t* values, std::size_t count, std::size_t first,
                  std::size_t rank) {
    count_wrong<<<1, 256, 0, stream_>>>(values, count, first, rank, wrong_);
  }

  nccl_channel& channel_;
  cudaStream_t stream_ = nullptr;
  unsigned long long* wrong_ = nullptr;
};

/// The last check: rank 0 waits in cudaStreamSynchronize for rank 1, which never comes.
void check_watchdog(nccl_channel& channel) {
  if (channel.rank() != 0) return;
  const device_values values(1000);
  omnibal::channel_watchdog watchdog({.deadline = std::chrono::seconds(2)});
  watchdog.watch(channel);
  channel.all_reduce(values.view(), reduction::sum, nullptr);
  (void)cudaStreamSynchronize(nullptr);
  collective_checks::expect_throw<omnibal::communication_error>(
      [&] { channel.all_reduce(values.view(), reduction::sum, nullptr); }, "aborted");
}

void run_rank(std::size_t rank, const ncclUniqueId& id) {
  nccl_channel channel(id, rank, rank_count, {.deadline = std::chrono::seconds(20)});
  for (const std::size_t count : {0, 1, 3, 1000, 1'000'000}) device_checks(channel).run(count);
  check_watchdog(channel);
  if (rank == 1) channel.abort("the test has ended");
}

}  // namespace

int main() { return device_ranks::run(run_rank); }
