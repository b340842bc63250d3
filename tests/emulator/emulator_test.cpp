// SPDX-License-Identifier: Apache-2.0
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include <cuda_runtime.h>

#include "catch.hpp"

using Catch::Matchers::ContainsSubstring;

namespace {

/// Device memory of zeros.
template <typename Value>
class array {
 public:
  explicit array(std::size_t size) : size_(size) {
    REQUIRE(cudaMalloc(&memory_, bytes()) == cudaSuccess);
    REQUIRE(cudaMemset(memory_, 0, bytes()) == cudaSuccess);
  }
  array(const array&) = delete;
  array& operator=(const array&) = delete;
  ~array() {
    cudaDeviceReset();  // what a test has found is no matter of the next one
    cudaFree(memory_);
  }
  [[nodiscard]] Value* data() const { return memory_; }
  [[nodiscard]] std::vector<Value> get() const {
    std::vector<Value> values(size_);
    CHECK(cudaMemcpy(values.data(), memory_, bytes(), cudaMemcpyDeviceToHost) == cudaSuccess);
    return values;
  }

 private:
  [[nodiscard]] std::size_t bytes() const { return size_ * sizeof(Value); }
  Value* memory_ = nullptr;
  std::size_t size_;
};

template <typename... Parameters, typename... Arguments>
cudaError_t launch(dim3 grid, dim3 block, void (*kernel)(Parameters...), Arguments... arguments) {
  cudaLaunchConfig_t config{};
  config.gridDim = grid;
  config.blockDim = block;
  return cudaLaunchKernelEx(&config, kernel, arguments...);
}

/// What the emulator says when the kernel has run; nothing if all is well.
template <typename... Parameters, typename... Arguments>
std::string finding(dim3 grid, dim3 block, void (*kernel)(Parameters...), Arguments... arguments) {
  REQUIRE(launch(grid, block, kernel, arguments...) == cudaSuccess);
  if (cudaDeviceSynchronize() == cudaSuccess) return {};
  const std::string text = cudaGetErrorString(cudaErrorLaunchFailure);
  cudaDeviceReset();
  return text;
}

/// Settings for the length of a test.
struct with_settings {
  explicit with_settings(const emulator::settings& wanted) : before(options()) {
    options() = wanted;
  }
  with_settings(const with_settings&) = delete;
  with_settings& operator=(const with_settings&) = delete;
  ~with_settings() { options() = before; }
  static emulator::settings& options() { return emulator::the_device.grids.options; }
  emulator::settings before;
};

__device__ unsigned own_lane() { return threadIdx.x % 32; }

__global__ void number_threads(unsigned* numbers) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  const unsigned place = block * blockDim.x * blockDim.y * blockDim.z + thread;
  numbers[place] = place + 1;
}

__global__ void shift_in_warps(double* values) {
  const unsigned self = threadIdx.x;
  const double own = self + 0.5;
  double* const out = values + std::size_t{6} * self;
  out[0] = __shfl_sync(0xFFFFFFFF, own, 3);
  out[1] = __shfl_up_sync(0xFFFFFFFF, own, 2);
  out[2] = __shfl_down_sync(0xFFFFFFFF, own, 2);
  out[3] = __shfl_xor_sync(0xFFFFFFFF, own, 1);
  out[4] = __shfl_sync(0xFFFFFFFF, own, 5, 4);
  out[5] = __shfl_down_sync(0xFFFFFFFF, own, 1, 8);
}

__global__ void vote_in_halves(unsigned* votes) {
  const unsigned lane = own_lane();
  unsigned* const out = votes + std::size_t{4} * threadIdx.x;
  if (lane < 16) {
    // The halves make different calls, and different numbers of them.
    out[0] = __ballot_sync(0x0000FFFF, lane % 2 == 0 ? 1 : 0);
    out[1] = static_cast<unsigned>(__any_sync(0x0000FFFF, lane == 7 ? 1 : 0));
  } else {
    out[2] = __shfl_up_sync(0xFFFF0000, lane, 1);
    __syncwarp(0xFFFF0000);
    out[3] = static_cast<unsigned>(__all_sync(0xFFFF0000, lane > 15 ? 1 : 0));
    out[0] = __ballot_sync(0xFFFF0000, 1);
  }
}

__global__ void vote_in_block(int* results) {
  const int self = static_cast<int>(threadIdx.x);
  const int count = __syncthreads_count(self % 3 == 0 ? 1 : 0);
  const int all = __syncthreads_and(self < 100 ? 1 : 0);
  const int any = __syncthreads_or(self == 99 ? 1 : 0);
  if (self == 57) {
    results[0] = count;
    results[1] = all;
    results[2] = any;
  }
}

__global__ void count_atomically(unsigned* counts, int* extremes, float* sum) {
  const int self = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  atomicAdd(&counts[self % 3], 1U);
  atomicMax(&extremes[0], self);
  atomicMin(&extremes[1], -self);
  atomicOr(&extremes[2], 1 << (self % 30));
  atomicAdd(sum, 0.5F);
}

__global__ void read_before_write(unsigned* seen) {
  __shared__ unsigned shared[4];
  if (threadIdx.x == 0) {
    seen[blockIdx.x] = shared[blockIdx.x];
    shared[blockIdx.x] = 5;
    shared[blockIdx.x + 1] = 6;
  }
}

/// Turns its block's part of `values` round by way of shared memory.
__global__ void turn_round(int* values, bool with_barrier) {
  __shared__ int shared[96];
  const unsigned self = threadIdx.x;
  shared[self] = values[blockIdx.x * blockDim.x + self];
  if (with_barrier) __syncthreads();
  values[blockIdx.x * blockDim.x + self] = shared[blockDim.x - 1 - self];
}

__global__ void leave_before_barrier(unsigned leaving) {
  if (threadIdx.x < leaving) return;
  __syncthreads();
}

__global__ void two_barriers() {
  if (threadIdx.x < 3)
    __syncthreads();
  else
    __syncthreads();
}

__global__ void barrier_against_warp() {
  if (threadIdx.x == 40) return;
  if (threadIdx.x < 32)
    __syncthreads();
  else if (threadIdx.x != 41)
    __syncwarp();
  else
    __syncthreads();
}

__global__ void outside_its_mask() { (void)__ballot_sync(0xFFFFFFFE, 1); }

__global__ void masks_that_differ() {
  (void)__ballot_sync(own_lane() == 0 ? 0x3U : 0xFFFFFFFFU, 1);
}

__global__ void take_tickets(unsigned* counter, unsigned* tickets) {
  tickets[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(counter, 1U);
}

__global__ void read_neighbour_block(int* values) {
  if (threadIdx.x == 0) values[blockIdx.x + 1] = values[blockIdx.x] + 1;
}

__global__ void write_at(char* memory, std::ptrdiff_t place) { memory[place] = 1; }

__global__ void double_it(int* value) { *value *= 2; }

__global__ void too_much_shared_memory(int* values) {
  __shared__ int shared[(48 << 8) + 1];
  shared[threadIdx.x] = 1;
  __syncthreads();
  values[threadIdx.x] = shared[threadIdx.x];
}

__global__ void produce(int* values) {
  __shared__ int staged[32];
  staged[threadIdx.x] = static_cast<int>(threadIdx.x);
  __syncthreads();
  values[threadIdx.x] = staged[31 - threadIdx.x];
}

__global__ void consume(const int* values, int* sums, bool waits) {
  __shared__ int factor;
  if (threadIdx.x == 0) factor = 3;
  __syncthreads();
  if (waits) cudaGridDependencySynchronize();
  sums[blockIdx.x * 32 + threadIdx.x] = factor * values[threadIdx.x];
}

cudaError_t launch_overlapping(const int* values, int* sums, bool waits) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(2);
  config.blockDim = dim3(32);
  config.attrs = &attribute;
  config.numAttrs = 1;
  return cudaLaunchKernelEx(&config, consume, values, sums, waits);
}

}  // namespace

TEST_CASE("grids and blocks have three dimensions") {
  const array<unsigned> numbers(3 * 2 * 4 * 5 * 3 * 7);
  CHECK(finding(dim3(3, 2, 4), dim3(5, 3, 7), number_threads, numbers.data()).empty());
  std::vector<unsigned> expected(3 * 2 * 4 * 5 * 3 * 7);
  std::iota(expected.begin(), expected.end(), 1U);
  CHECK(numbers.get() == expected);
}

TEST_CASE("shuffles take values of other lanes, in a warp that is not full too") {
  constexpr unsigned threads = 32 + 8;
  const array<double> values(6 * threads);
  CHECK(finding(1, threads, shift_in_warps, values.data()).empty());
  const auto got = values.get();
  for (unsigned t = 0; t < threads; ++t) {
    const unsigned lane = t % 32;
    const unsigned lanes = t < 32 ? 32 : 8;
    const double own = t + 0.5;
    const double* const out = &got[std::size_t{6} * t];
    CHECK(out[0] == t - lane + 3.5);
    CHECK(out[1] == (lane < 2 ? own : own - 2));
    if (lane + 2 < lanes) CHECK(out[2] == own + 2);
    if (t < 32 && lane + 2 >= lanes) CHECK(out[2] == own);
    CHECK(out[3] == (t ^ 1U) + 0.5);
    CHECK(out[4] == t - t % 4 + 1.5);
    CHECK(out[5] == (t % 8 == 7 ? own : own + 1));
  }
}

TEST_CASE("lanes of different masks go their own ways") {
  const array<unsigned> votes(4 * 64);
  CHECK(finding(1, 64, vote_in_halves, votes.data()).empty());
  const auto got = votes.get();
  for (unsigned t = 0; t < 64; ++t) {
    const unsigned* const out = &got[std::size_t{4} * t];
    if (t % 32 < 16) {
      CHECK(out[0] == 0x5555);
      CHECK(out[1] == 1);
    } else {
      CHECK(out[0] == 0xFFFF0000);
      // The lane before the first is not in the mask: its value is not specified.
      if (t % 32 > 16) CHECK(out[2] == t % 32 - 1);
      CHECK(out[3] == 1);
    }
  }
}

TEST_CASE("barriers count and vote") {
  const array<int> results(3);
  CHECK(finding(1, 100, vote_in_block, results.data()).empty());
  CHECK(results.get() == std::vector<int>{34, 1, 1});
}

TEST_CASE("atomics count what blocks and threads do in any order") {
  const array<unsigned> counts(3);
  const array<int> extremes(3);
  const array<float> sum(1);
  CHECK(finding(4, 50, count_atomically, counts.data(), extremes.data(), sum.data()).empty());
  CHECK(counts.get() == std::vector<unsigned>{67, 67, 66});
  CHECK(extremes.get() == std::vector<int>{199, -199, (1 << 30) - 1});
  CHECK(sum.get()[0] == 100.0F);
}

TEST_CASE("shared memory is poisoned before each block") {
  const array<unsigned> seen(3);
  CHECK(finding(3, 32, read_before_write, seen.data()).empty());
  CHECK(seen.get() == std::vector<unsigned>(3, 0xCDCDCDCD));
}

TEST_CASE("a missing barrier is found, without knowing the right result") {
  const array<int> values(2 * 96);
  std::vector<int> numbers(2 * 96);
  std::iota(numbers.begin(), numbers.end(), 0);
  cudaMemcpy(values.data(), numbers.data(), numbers.size() * sizeof(int), cudaMemcpyHostToDevice);
  CHECK(finding(2, 96, turn_round, values.data(), true).empty());
  CHECK(values.get()[5] == 90);
  CHECK_THAT(finding(2, 96, turn_round, values.data(), false),
             ContainsSubstring("turn_round: the order of threads changes byte"));
  // The same without touching the source.
  emulator::all_barriers.met.clear();
  CHECK(finding(2, 96, turn_round, values.data(), true).empty());
  REQUIRE(emulator::all_barriers.met.size() == 1);
  emulator::all_barriers.left_out = *emulator::all_barriers.met.begin();
  CHECK_THAT(finding(2, 96, turn_round, values.data(), true), ContainsSubstring("threads"));
  emulator::all_barriers.left_out.reset();
}

TEST_CASE("barriers that not all threads reach are reported with their lines") {
  CHECK(finding(1, 64, leave_before_barrier, 0U).empty());
  CHECK_THAT(
      finding(2, 64, leave_before_barrier, 3U),
      ContainsSubstring("leave_before_barrier: block (0, 0, 0): divergent barrier: 3 threads "
                        "have ended, 61 threads wait in __syncthreads at ") &&
          ContainsSubstring("emulator_test.cpp:"));
  CHECK_THAT(finding(1, 64, two_barriers),
             ContainsSubstring("3 threads wait in __syncthreads at") &&
                 ContainsSubstring("61 threads wait in"));
  CHECK_THAT(finding(1, 64, barrier_against_warp),
             ContainsSubstring("30 threads wait in __syncwarp (0xffffffff)"));
}

TEST_CASE("warp operations whose masks are wrong are reported") {
  CHECK_THAT(finding(1, 32, outside_its_mask),
             ContainsSubstring("__ballot_sync by a lane that is not in its mask"));
  CHECK_THAT(finding(1, 32, masks_that_differ), ContainsSubstring("1 threads wait in __ballot_sync "
                                                                  "(0x00000003)"));
}

TEST_CASE("blocks that race are found by running them in another order") {
  const array<int> values(9);
  CHECK_THAT(finding(8, 32, read_neighbour_block, values.data()),
             ContainsSubstring("read_neighbour_block: the order of blocks changes byte 8 of an "
                               "allocation of 36"));
}

TEST_CASE("a random order is that of its seed") {
  const array<unsigned> counter(1);
  const array<unsigned> tickets(40);
  const auto order_of = [&](const emulator::settings& settings) {
    const with_settings held(settings);
    cudaMemset(counter.data(), 0, sizeof(unsigned));
    CHECK(finding(4, 10, take_tickets, counter.data(), tickets.data()).empty());
    return tickets.get();
  };
  const auto random = [&](std::uint64_t seed) {
    return order_of({.blocks = emulator::order::random,
                     .threads = emulator::order::random,
                     .seed = seed,
                     .compare_orders = false});
  };
  const auto forward = order_of({.compare_orders = false});
  CHECK(forward[0] == 0);
  CHECK(forward[39] == 39);
  const auto reverse = order_of({.blocks = emulator::order::reverse, .compare_orders = false});
  CHECK(reverse[0] == 30);
  CHECK(random(1) == random(1));
  CHECK(random(1) != random(2));
}

TEST_CASE("device memory has guards and no values") {
  unsigned* memory = nullptr;
  REQUIRE(cudaMalloc(&memory, 2 * sizeof(unsigned)) == cudaSuccess);
  CHECK(reinterpret_cast<std::uintptr_t>(memory) % 256 == 0);
  CHECK(memory[1] == 0xA5A5A5A5);
  CHECK(cudaFree(memory) == cudaSuccess);
  CHECK(cudaFree(memory) == cudaErrorInvalidValue);
  if (EMULATOR_ADDRESS_SANITIZER) return;  // which stops the program: see out_of_bounds.cpp
  const array<char> bytes(10);
  CHECK(finding(1, 1, write_at, bytes.data(), std::ptrdiff_t{9}).empty());
  CHECK_THAT(finding(1, 1, write_at, bytes.data(), std::ptrdiff_t{10}),
             ContainsSubstring("a write out of bounds, behind an allocation of 10 bytes"));
  bytes.data()[10] = 0x5C;
  CHECK_THAT(finding(1, 1, write_at, bytes.data(), std::ptrdiff_t{-1}),
             ContainsSubstring("before an allocation"));
  bytes.data()[-1] = 0x5C;
}

TEST_CASE("launches beyond the limits of a device are refused") {
  const array<int> values(32);
  const auto refused = [&](dim3 grid, dim3 block) {
    return launch(grid, block, double_it, values.data()) == cudaErrorInvalidConfiguration;
  };
  CHECK(refused(0, 32));
  CHECK(refused(1, 1025));
  CHECK(refused(1, dim3(1, 1, 65)));
  CHECK(refused(dim3(1, 65536), 1));
  CHECK_FALSE(refused(1, 1));
  if (EMULATOR_ADDRESS_SANITIZER) return;
  CHECK(launch(1, 32, too_much_shared_memory, values.data()) == cudaErrorInvalidConfiguration);
}

TEST_CASE("work waits until the host does") {
  const array<int> value(1);
  int seen = -1;
  REQUIRE(launch(1, 1, double_it, value.data()) == cudaSuccess);
  REQUIRE(cudaMemcpyAsync(&seen, value.data(), sizeof seen, cudaMemcpyDeviceToHost) == cudaSuccess);
  CHECK(seen == -1);
  CHECK(cudaStreamSynchronize(nullptr) == cudaSuccess);
  CHECK(seen == 0);
}

TEST_CASE("a graph does again what was captured, and nothing before that") {
  const array<int> value(1);
  const int three = 3;
  cudaMemcpy(value.data(), &three, sizeof three, cudaMemcpyHostToDevice);
  cudaStream_t stream = nullptr;
  REQUIRE(cudaStreamCreate(&stream) == cudaSuccess);
  REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal) == cudaSuccess);
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(1);
  config.blockDim = dim3(1);
  config.stream = stream;
  CHECK(cudaLaunchKernelEx(&config, double_it, value.data()) == cudaSuccess);
  CHECK(cudaStreamSynchronize(stream) == cudaErrorStreamCaptureUnsupported);
  int* memory = nullptr;
  CHECK(cudaMalloc(&memory, 4) == cudaErrorStreamCaptureUnsupported);
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
  std::size_t nodes = 0;
  CHECK(cudaGraphGetNodes(graph, nullptr, &nodes) == cudaSuccess);
  CHECK(nodes == 1);
  REQUIRE(cudaGraphInstantiate(&executable, graph) == cudaSuccess);
  CHECK(value.get()[0] == 3);
  CHECK(cudaGraphLaunch(executable, stream) == cudaSuccess);
  CHECK(cudaGraphLaunch(executable, stream) == cudaSuccess);
  CHECK(value.get()[0] == 12);
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(stream);
}

TEST_CASE("a kernel that may overlap the one before sees its results only after waiting") {
  const array<int> values(32);
  const array<int> sums(64);
  for (const bool waits : {true, false}) {
    cudaMemset(values.data(), 0, 32 * sizeof(int));
    REQUIRE(launch(1, 32, produce, values.data()) == cudaSuccess);
    REQUIRE(launch_overlapping(values.data(), sums.data(), waits) == cudaSuccess);
    CHECK(sums.get()[32 + 4] == (waits ? 3 * 27 : 0));
    CHECK(values.get()[4] == 27);
  }
}
