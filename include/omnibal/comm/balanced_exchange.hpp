// SPDX-License-Identifier: Apache-2.0
/// @file
/// Moves loaded samples between ranks so that all have about equal costs, and moves results back.
///
///     const exchange_samples samples{
///         .costs = costs, .bytes = {pixel_bytes, text_bytes, embedding_bytes}};
///     const exchange_plan plan = plan_exchange(ranks, samples);
///     const std::array<field_bytes, 2> inputs = {{{0, pixels}, {1, text}}};
///     const auto moved = exchange(channel, plan, inputs);  // of plan.received()
///     const std::vector<std::byte> encoded = encode(moved[0], moved[1]);
///     const std::array<field_bytes, 1> outputs = {{{2, encoded}}};
///     const auto embeddings = exchange_back(channel, plan, outputs);  // of its own samples
///
/// Costs and sizes of all samples and fields are gathered once; every rank computes the same plan
/// from them (rebalance.hpp), and fingerprints of it are compared; all fields move in one
/// all_to_all. Ranks without samples take part.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/comm/agreement.hpp>
#include <omnibal/comm/collectives.hpp>
#include <omnibal/comm/communicator.hpp>
#include <omnibal/comm/tensor.hpp>
#include <omnibal/comm/tensor_channel.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/rebalance/rebalance.hpp>

namespace omnibal::inline v0 {

/// The samples of this rank: costs[s], and bytes[f][s] of field f of sample s. Also fields that
/// only come back, such as the outputs of an encoder and their gradients.
struct exchange_samples {
  std::vector<std::int64_t> costs = {};
  std::vector<std::vector<std::int64_t>> bytes = {};
};

/// A sample by its owner and its number there.
struct exchanged_sample {
  std::size_t owner = 0;
  std::size_t number = 0;

  friend bool operator==(const exchanged_sample&, const exchanged_sample&) = default;
};

/// The bytes of a field of several samples, one sample after the other.
struct field_bytes {
  std::size_t field = 0;
  std::span<const std::byte> bytes = {};
};

/// Which samples go where; the same on every rank, apart from `rank`.
class exchange_plan {
 public:
  /// A sample of the gathered table, and the rank that processes it.
  struct place {
    std::size_t owner = 0;
    std::size_t number = 0;
    std::size_t target = 0;
    std::vector<std::int64_t> bytes = {};  // by field
  };

  exchange_plan(std::size_t rank, std::size_t ranks, std::size_t fields, std::vector<place> places,
                rebalance_result balance);

  [[nodiscard]] std::size_t rank() const noexcept { return rank_; }
  [[nodiscard]] std::size_t ranks() const noexcept { return ranks_; }
  [[nodiscard]] std::size_t fields() const noexcept { return fields_; }
  /// All samples by owner and number.
  [[nodiscard]] const std::vector<place>& places() const noexcept { return places_; }
  /// What rebalancing found: costs, bytes and bounds.
  [[nodiscard]] const rebalance_result& balance() const noexcept { return balance_; }
  /// Of ranks, fields and places: equal on ranks that hold the same plan.
  [[nodiscard]] std::uint64_t hash() const noexcept { return hash_; }

  /// The samples that this rank processes, by owner and number.
  [[nodiscard]] std::vector<exchanged_sample> received() const;

 private:
  std::size_t rank_;
  std::size_t ranks_;
  std::size_t fields_;
  std::vector<place> places_;
  rebalance_result balance_;
  std::uint64_t hash_;
};

namespace detail {

/// What a rank tells the others of its samples: the number of fields, whether every field has one
/// size per sample, and if so cost and sizes of each sample.
[[nodiscard]] std::vector<std::int64_t> table_of(const exchange_samples& samples);

/// The plan of a rank with these fields, from the tables of all ranks.
[[nodiscard]] exchange_plan planned_exchange(std::size_t rank, std::size_t fields,
                                             const values_by_rank<std::int64_t>& tables,
                                             const rebalance_options& options);

}  // namespace detail

/// Gathers costs and sizes and plans the exchange; called by all ranks. Throws invalid_input when a
/// field does not have one size per sample, for negative costs and sizes, and when ranks differ in
/// the number of fields; plan_divergence when they planned differently, as with other options or a
/// limit of time. Blocks; three messages. The bytes of a move are those of all fields.
template <communicator Communicator>
[[nodiscard]] exchange_plan plan_exchange(Communicator& ranks, const exchange_samples& samples,
                                          const rebalance_options& options = {}) {
  const std::size_t fields = samples.bytes.size();
  const values_by_rank<std::int64_t> all = all_gather_variable(ranks, detail::table_of(samples));
  exchange_plan plan = detail::planned_exchange(ranks.rank(), fields, all, options);
  require_agreement(ranks, "the plan of an exchange", plan.hash());
  return plan;
}

namespace detail {

/// Which way samples go: `from` has them and `to` gets them.
enum class exchange_direction { to_target, to_owner };

/// What one rank sends and receives of some fields.
class field_exchange {
 public:
  field_exchange(const exchange_plan& plan, std::span<const field_bytes> fields,
                 exchange_direction direction);

  [[nodiscard]] const std::vector<std::size_t>& sent_counts() const noexcept {
    return sent_counts_;
  }
  [[nodiscard]] const std::vector<std::size_t>& received_counts() const noexcept {
    return received_counts_;
  }

  /// The bytes for rank 0, then for rank 1 and so on; for each, sample by sample, all fields.
  [[nodiscard]] std::vector<std::byte> pack() const;

  /// The fields of the samples that came, one sample after the other.
  [[nodiscard]] std::vector<std::vector<std::byte>> unpack(std::span<const std::byte> packed) const;

 private:
  [[nodiscard]] std::size_t from(const exchange_plan::place& place) const;
  [[nodiscard]] std::size_t to(const exchange_plan::place& place) const;
  void require_bytes(std::size_t f, std::size_t bytes, bool all) const;

  const exchange_plan& plan_;
  std::span<const field_bytes> fields_;
  exchange_direction direction_;
  std::vector<std::size_t> sent_counts_;      // bytes by rank
  std::vector<std::size_t> received_counts_;  // bytes by rank
};

/// Of what must be equal on all ranks before bytes move.
[[nodiscard]] std::uint64_t hash_of_exchange(const exchange_plan& plan,
                                             std::span<const field_bytes> fields,
                                             exchange_direction direction);

/// The hashes of all ranks.
template <tensor_channel Channel>
[[nodiscard]] std::vector<std::uint64_t> gather_hashes(Channel& channel, std::uint64_t hash) {
  const std::vector<std::int64_t> own = {static_cast<std::int64_t>(hash)};
  std::vector<std::int64_t> gathered(channel.size());
  const std::vector<std::size_t> counts(channel.size(), 1);
  channel.all_gather(view_of(own), view_of(gathered), counts, {}).wait();
  return {gathered.begin(), gathered.end()};
}

template <tensor_channel Channel>
requires(Channel::space == memory_space::host)
    [[nodiscard]] std::vector<std::vector<std::byte>> exchange_fields(
        Channel& channel, const exchange_plan& plan, std::span<const field_bytes> fields,
        exchange_direction direction) {
  if (channel.size() != plan.ranks() || channel.rank() != plan.rank())
    throw invalid_input("channel.size()", channel.size(),
                        "must have the ranks of the plan, " + std::to_string(plan.ranks()));
  const std::uint64_t hash = hash_of_exchange(plan, fields, direction);
  std::optional<field_exchange> prepared;
  std::vector<std::byte> sent;
  try {
    prepared.emplace(plan, fields, direction);
    sent = prepared->pack();
  } catch (...) {
    (void)gather_hashes(channel, ~hash);  // the others do not wait for this rank
    throw;
  }
  if (auto different = other_than_most(gather_hashes(channel, hash)); !different.empty())
    throw plan_divergence("an exchange", std::move(different), channel.size());
  const field_exchange& moves = *prepared;
  std::size_t received_bytes = 0;
  for (const std::size_t count : moves.received_counts()) received_bytes += count;
  std::vector<std::byte> received(received_bytes);
  channel
      .all_to_all(view_of(sent), moves.sent_counts(), view_of(received), moves.received_counts(),
                  {})
      .wait();
  return moves.unpack(received);
}

}  // namespace detail

/// Sends fields of this rank's own samples, each in the order of the samples, to the ranks that
/// process them; returns these fields of plan.received(), in its order. Called by all ranks with
/// the same fields; blocks; one all_gather of eight bytes per rank, then one all_to_all.
///
/// Throws plan_divergence on all ranks, before bytes move, where they hold different plans, pass
/// other fields, or one calls exchange_back(). Throws invalid_input when a field has other bytes
/// than the plan says; on the other ranks that is a plan_divergence. The channel goes on.
template <tensor_channel Channel>
[[nodiscard]] std::vector<std::vector<std::byte>> exchange(Channel& channel,
                                                           const exchange_plan& plan,
                                                           std::span<const field_bytes> fields) {
  return detail::exchange_fields(channel, plan, fields, detail::exchange_direction::to_target);
}

/// The reverse: sends fields of plan.received() back to the owners; returns these fields of this
/// rank's own samples.
template <tensor_channel Channel>
[[nodiscard]] std::vector<std::vector<std::byte>> exchange_back(
    Channel& channel, const exchange_plan& plan, std::span<const field_bytes> fields) {
  return detail::exchange_fields(channel, plan, fields, detail::exchange_direction::to_owner);
}

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/balanced_exchange.ipp>
#endif
