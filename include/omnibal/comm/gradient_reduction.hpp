// SPDX-License-Identifier: Apache-2.0
/// @file
/// Reductions of losses and gradients over data-parallel ranks, weighted by tokens.
///
/// A loss is a mean over the tokens of all ranks. The mean of the ranks' means is another number
/// where ranks have different numbers of tokens, as they do under balanced packing. So each rank
/// computes sums over its tokens, the sums are added, and one division follows:
///
///     gradient_buckets buckets(channel, view_of(gradients), parameter_counts);
///     backward([&](std::size_t parameter) { buckets.ready(parameter); });
///     buckets.finish();
///     scale(view_of(gradients), 1 / all_reduce_sum(ranks, weight_of_own_tokens));
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/comm/collectives.hpp>
#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/detail/give_up.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

/// Sums over the tokens of all ranks.
struct weighted_sum {
  double numerator = 0;  ///< Σ weight · value, for example the summed loss
  double weight = 0;     ///< Σ weight, for example the number of tokens that count

  /// Throws invalid_input when no token counts on any rank: there is no mean then.
  [[nodiscard]] double mean() const;
};

/// Adds the sums of all ranks, in rank order, so that all get the same bits. Ranks without tokens
/// pass zeros and take part. Throws invalid_input on the rank whose weight is negative or not a
/// number. Blocks; one message of 16 bytes.
template <communicator Communicator>
[[nodiscard]] weighted_sum sum_over_ranks(Communicator& ranks, const weighted_sum& own) {
  if (!(own.weight >= 0))
    throw invalid_input("weight", std::to_string(own.weight), "must not be negative");
  return all_reduce(ranks, own, [](const weighted_sum& left, const weighted_sum& right) {
    return weighted_sum{left.numerator + right.numerator, left.weight + right.weight};
  });
}

/// Multiplies elements of host memory by a factor, in double precision, each rounded once (bf16 by
/// way of single precision). Throws invalid_input for bytes and integers.
void scale(tensor_view values, double factor);

struct gradient_bucket_options {
  /// A bucket is reduced once it has at least this many bytes. More bytes use the network better,
  /// fewer begin earlier.
  std::size_t bytes = 25'000'000;
};

/// Reduces the gradients of a backward pass while it goes on. All gradients are in one buffer, in
/// the order of the parameters; the backward makes them from the last to the first, so buckets are
/// consecutive parameters from the end of the buffer, and nothing is copied. A bucket is reduced,
/// in place, when all its gradients are there and all buckets before it have begun: every rank
/// begins them in the same order, whatever the order of its gradients.
///
/// The sum is not scaled: scale it once, after finish().
///
/// Destroyed between the first ready() of a step and its finish(), as by an exception, it aborts
/// its channel, and no other one, unless all reductions have ended: the other ranks would wait for
/// those that never begin, and those under way use memory that may go away. The reason, which the
/// error of every other rank contains, names this rank. Channel and buffer outlive it.
template <tensor_channel Channel>
class gradient_buckets {
 public:
  /// `counts[p]` is the number of elements of parameter p. Equal on all ranks. Throws invalid_input
  /// unless they add up to the elements of the buffer, and for gradients that cannot be reduced.
  gradient_buckets(Channel& channel, tensor_view gradients, std::span<const std::size_t> counts,
                   const gradient_bucket_options& options = {},
                   typename Channel::stream_type stream = {})
      : channel_(&channel), gradients_(gradients), stream_(stream) {
    detail::require_reducible(gradients.type);
    if (options.bytes == 0) throw invalid_input("bytes", options.bytes, "must be at least 1");
    std::size_t total = 0;
    for (const std::size_t count : counts) total = checked_add(total, count, "counts");
    if (total != gradients.count)
      throw invalid_input("sum of counts", total,
                          "must be the elements of the buffer, " + std::to_string(gradients.count));
    cut(counts, options.bytes);
  }
  gradient_buckets(gradient_buckets&&) = delete;
  gradient_buckets& operator=(gradient_buckets&&) = delete;
  ~gradient_buckets() {
    if (std::find(is_ready_.begin(), is_ready_.end(), true) == is_ready_.end()) return;
    const std::string_view reason = std::uncaught_exceptions() > exceptions_
                                        ? "an exception destroyed gradient buckets in mid-step"
                                        : "gradient buckets were destroyed without finish()";
    if (begun_ < buckets_.size()) channel_->abort(reason);
    for (auto& ticket : tickets_) detail::give_up(*channel_, ticket, reason);
  }

  [[nodiscard]] std::size_t buckets() const noexcept { return buckets_.size(); }

  /// The gradient of a parameter is complete on this rank. Throws invalid_input when it was before.
  void ready(std::size_t parameter) {
    if (parameter >= bucket_of_.size())
      throw invalid_input("parameter", parameter,
                          "must be below " + std::to_string(bucket_of_.size()));
    if (is_ready_[parameter]) throw invalid_input("parameter", parameter, "is ready already");
    is_ready_[parameter] = true;
    --buckets_[bucket_of_[parameter]].missing;
    begin_full_buckets();
  }

  /// For a rank that had no tokens in this step: all its gradients, which are zero, are ready.
  void ready_without_backward() {
    for (std::size_t p = bucket_of_.size(); p-- > 0;)
      if (!is_ready_[p]) ready(p);
  }

  /// Waits for all buckets; the next backward can then begin. Throws invalid_input naming the first
  /// parameter whose gradient never came: it would be the sum of another step.
  void finish() {
    for (std::size_t p = 0; p < is_ready_.size(); ++p)
      if (!is_ready_[p])
        throw invalid_input("parameter", p, "has no gradient; ready() was not called");
    for (auto& ticket : tickets_) ticket.wait();
    tickets_.clear();
    std::fill(is_ready_.begin(), is_ready_.end(), false);
    begun_ = 0;
    for (bucket& each : buckets_) each.missing = each.parameters;
  }

 private:
  struct bucket {
    std::size_t first = 0;  // element
    std::size_t count = 0;
    std::size_t parameters = 0;
    std::size_t missing = 0;
  };

  void cut(std::span<const std::size_t> counts, std::size_t bytes) {
    bucket_of_.resize(counts.size());
    is_ready_.resize(counts.size());
    std::size_t end = gradients_.count;
    for (std::size_t p = counts.size(); p-- > 0;) {
      if (buckets_.empty() || buckets_.back().count * size_of(gradients_.type) >= bytes)
        buckets_.emplace_back();
      bucket& last = buckets_.back();
      end -= counts[p];
      last.first = end;
      last.count += counts[p];
      ++last.parameters;
      ++last.missing;
      bucket_of_[p] = buckets_.size() - 1;
    }
  }

  void begin_full_buckets() {
    for (; begun_ < buckets_.size() && buckets_[begun_].missing == 0; ++begun_)
      tickets_.push_back(
          channel_->all_reduce(gradients_.part(buckets_[begun_].first, buckets_[begun_].count),
                               reduction::sum, stream_));
  }

  Channel* channel_;
  tensor_view gradients_;
  typename Channel::stream_type stream_;
  std::vector<bucket> buckets_;
  std::vector<std::size_t> bucket_of_;  // by parameter
  std::vector<bool> is_ready_;          // by parameter
  std::vector<typename Channel::ticket> tickets_;
  std::size_t begun_ = 0;
  int exceptions_ = std::uncaught_exceptions();  // when constructed
};

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/gradient_reduction.ipp>
#endif
