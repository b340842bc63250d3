// SPDX-License-Identifier: Apache-2.0
/// @file
/// The emulated device: its memory, its streams, and what was found wrong. Work on streams runs as
/// late as CUDA permits, when the host waits for it, in the order in which it was given: a host
/// that forgets to wait reads old values.
#pragma once

#include <cstddef>
#include <cstdio>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "emulator/grid.hpp"
#include "emulator/memory.hpp"

namespace emulator {

/// A kernel, or something else that a stream does.
struct work {
  std::optional<kernel_launch> kernel;
  std::function<void()> other;
};

}  // namespace emulator

struct CUgraph_st {
  std::vector<emulator::work> nodes;
};
struct CUgraphExec_st {
  std::vector<emulator::work> nodes;
};
struct CUstream_st {
  CUgraph_st* captured = nullptr;
};
struct CUevent_st {};

namespace emulator {

class device {
 public:
  device_memory memory;
  grid_runner grids{memory};
  std::recursive_mutex mutex;
  std::size_t captures = 0;  ///< Streams that are being captured.

  void enqueue(CUstream_st* stream, work item) {
    if (stream != nullptr && stream->captured != nullptr)
      stream->captured->nodes.push_back(std::move(item));
    else
      queue_.push_back({stream, std::move(item)});
  }

  /// Runs all work there is.
  void drain() {
    while (!queue_.empty()) {
      const queued next = std::move(queue_.front());
      queue_.pop_front();
      if (!next.item.kernel.has_value()) {
        if (finding_.empty()) next.item.other();
        continue;
      }
      std::vector<kernel_launch> chain = {*next.item.kernel};
      while (!queue_.empty() && follows(queue_.front(), next.stream)) {
        chain.push_back(*queue_.front().item.kernel);
        queue_.pop_front();
      }
      launches_ += chain.size();
      if (finding_.empty()) report(grids.run(chain));
    }
  }

  /// What was found wrong first; nothing runs after it until reset().
  [[nodiscard]] const std::string& finding() const { return finding_; }

  void reset() {
    queue_.clear();
    finding_.clear();
    captures = 0;
  }

  /// The number of kernels run so far.
  [[nodiscard]] std::size_t launches() const { return launches_; }

 private:
  struct queued {
    CUstream_st* stream;
    work item;
  };

  [[nodiscard]] static bool follows(const queued& next, const CUstream_st* stream) {
    return next.stream == stream && next.item.kernel.has_value() &&
           next.item.kernel->is_programmatic;
  }

  void report(std::string finding) {
    if (finding.empty()) return;
    std::fprintf(stderr, "emulator: %s\n", finding.c_str());
    finding_ = std::move(finding);
  }

  std::deque<queued> queue_;
  std::string finding_;
  std::size_t launches_ = 0;
};

/// The only device of the program.
inline device the_device;

}  // namespace emulator
