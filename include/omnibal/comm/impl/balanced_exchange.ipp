// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <omnibal/comm/balanced_exchange.hpp>
#include <omnibal/comm/collectives.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/hash.hpp>
#include <omnibal/rebalance/rebalance.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE exchange_plan::exchange_plan(std::size_t rank, std::size_t ranks, std::size_t fields,
                                            std::vector<place> places, rebalance_result balance)
    : rank_(rank),
      ranks_(ranks),
      fields_(fields),
      places_(std::move(places)),
      balance_(std::move(balance)) {
  hash_stream hash;
  add_to_hash(hash, ranks_);
  add_to_hash(hash, fields_);
  for (const place& each : places_) {
    add_to_hash(hash, each.owner);
    add_to_hash(hash, each.number);
    add_to_hash(hash, each.target);
    add_to_hash(hash, each.bytes);
  }
  hash_ = hash.value();
}

OMNIBAL_INLINE std::vector<exchanged_sample> exchange_plan::received() const {
  std::vector<exchanged_sample> samples;
  for (const place& each : places_)
    if (each.target == rank_) samples.push_back({each.owner, each.number});
  return samples;
}

namespace detail {

OMNIBAL_INLINE std::vector<std::int64_t> table_of(const exchange_samples& samples) {
  // Errors are those of all ranks: a rank that threw alone would leave the others waiting.
  std::vector<std::int64_t> own = {static_cast<std::int64_t>(samples.bytes.size())};
  bool is_valid = true;
  for (const auto& field : samples.bytes) is_valid &= field.size() == samples.costs.size();
  own.push_back(is_valid ? 1 : 0);
  for (std::size_t s = 0; s < samples.costs.size() && is_valid; ++s) {
    own.push_back(samples.costs[s]);
    for (const auto& field : samples.bytes) own.push_back(field[s]);
  }
  return own;
}

OMNIBAL_INLINE exchange_plan planned_exchange(std::size_t rank, std::size_t fields,
                                              const values_by_rank<std::int64_t>& tables,
                                              const rebalance_options& options) {
  std::vector<exchange_plan::place> places;
  rebalance_problem problem{.ranks = static_cast<std::uint32_t>(tables.size())};
  for (std::size_t r = 0; r < tables.size(); ++r) {
    std::span<const std::int64_t> row = tables[r];
    if (row[0] != static_cast<std::int64_t>(fields))
      throw invalid_input("bytes.size()", fields,
                          "must be equal on all ranks, but rank " + std::to_string(r) + " has " +
                              std::to_string(row[0]));
    if (row[1] == 0)
      throw invalid_input("bytes on rank " + std::to_string(r),
                          "another number of sizes than costs",
                          "each field needs one size per sample");
    row = row.subspan(2);
    for (std::size_t number = 0; !row.empty(); ++number, row = row.subspan(1 + fields)) {
      const auto sizes = row.subspan(1, fields);
      std::int64_t bytes = 0;
      for (std::size_t f = 0; f < fields; ++f) {
        if (sizes[f] < 0)
          throw invalid_input("bytes[" + std::to_string(f) + "] of rank " + std::to_string(r),
                              number, sizes[f], "must not be negative");
        bytes = checked_add(bytes, sizes[f], "bytes");
      }
      problem.samples.push_back(
          {.rank = static_cast<std::uint32_t>(r), .cost = row[0], .bytes = bytes});
      places.push_back({r, number, r, {sizes.begin(), sizes.end()}});
    }
  }
  rebalance_result balance = rebalance(problem, options);
  for (const auto& [sample, from, to] : balance.plan().moves) places[sample].target = to;
  return {rank, tables.size(), fields, std::move(places), std::move(balance)};
}

[[nodiscard]] inline std::size_t sum_of(std::span<const std::size_t> counts) {
  std::size_t total = 0;
  for (const std::size_t count : counts) total = checked_add(total, count, "bytes");
  return total;
}

[[nodiscard]] inline std::vector<std::size_t> begins_of(std::span<const std::size_t> counts) {
  std::vector<std::size_t> begin(counts.size(), 0);
  for (std::size_t r = 1; r < counts.size(); ++r) begin[r] = begin[r - 1] + counts[r - 1];
  return begin;
}

inline void copy_bytes(const std::byte* from, std::byte* to, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

OMNIBAL_INLINE std::uint64_t hash_of_exchange(const exchange_plan& plan,
                                              std::span<const field_bytes> fields,
                                              exchange_direction direction) {
  std::vector<std::size_t> numbers;
  for (const field_bytes& field : fields) numbers.push_back(field.field);
  return plan_hash(plan.hash(), numbers, direction);
}

OMNIBAL_INLINE field_exchange::field_exchange(const exchange_plan& plan,
                                              std::span<const field_bytes> fields,
                                              exchange_direction direction)
    : plan_(plan),
      fields_(fields),
      direction_(direction),
      sent_counts_(plan.ranks()),
      received_counts_(plan.ranks()) {
  for (const field_bytes& field : fields_)
    if (field.field >= plan.fields())
      throw invalid_input("field", field.field, "must be below " + std::to_string(plan.fields()));
  for (const auto& place : plan_.places())
    for (const field_bytes& field : fields_) {
      const auto bytes = static_cast<std::size_t>(place.bytes[field.field]);
      if (from(place) == plan_.rank()) sent_counts_[to(place)] += bytes;
      if (to(place) == plan_.rank()) received_counts_[from(place)] += bytes;
    }
}

OMNIBAL_INLINE std::vector<std::byte> field_exchange::pack() const {
  std::vector<std::byte> packed(sum_of(sent_counts_));
  std::vector<std::size_t> target = begins_of(sent_counts_);
  std::vector<std::size_t> source(fields_.size(), 0);
  for (const auto& place : plan_.places()) {
    if (from(place) != plan_.rank()) continue;
    for (std::size_t f = 0; f < fields_.size(); ++f) {
      const auto bytes = static_cast<std::size_t>(place.bytes[fields_[f].field]);
      require_bytes(f, source[f] + bytes, false);
      copy_bytes(fields_[f].bytes.data() + source[f], packed.data() + target[to(place)], bytes);
      source[f] += bytes;
      target[to(place)] += bytes;
    }
  }
  for (std::size_t f = 0; f < fields_.size(); ++f) require_bytes(f, source[f], true);
  return packed;
}

OMNIBAL_INLINE std::vector<std::vector<std::byte>> field_exchange::unpack(
    std::span<const std::byte> packed) const {
  std::vector<std::vector<std::byte>> unpacked(fields_.size());
  for (std::size_t f = 0; f < fields_.size(); ++f) {
    std::size_t bytes = 0;
    for (const auto& place : plan_.places())
      if (to(place) == plan_.rank())
        bytes += static_cast<std::size_t>(place.bytes[fields_[f].field]);
    unpacked[f].reserve(bytes);
  }
  std::vector<std::size_t> source = begins_of(received_counts_);
  for (const auto& place : plan_.places()) {
    if (to(place) != plan_.rank()) continue;
    for (std::size_t f = 0; f < fields_.size(); ++f) {
      const auto bytes = static_cast<std::size_t>(place.bytes[fields_[f].field]);
      const auto first = packed.begin() + static_cast<std::ptrdiff_t>(source[from(place)]);
      unpacked[f].insert(unpacked[f].end(), first, first + static_cast<std::ptrdiff_t>(bytes));
      source[from(place)] += bytes;
    }
  }
  return unpacked;
}

OMNIBAL_INLINE std::size_t field_exchange::from(const exchange_plan::place& place) const {
  return direction_ == exchange_direction::to_target ? place.owner : place.target;
}

OMNIBAL_INLINE std::size_t field_exchange::to(const exchange_plan::place& place) const {
  return direction_ == exchange_direction::to_target ? place.target : place.owner;
}

OMNIBAL_INLINE void field_exchange::require_bytes(std::size_t f, std::size_t bytes,
                                                  bool all) const {
  const std::size_t given = fields_[f].bytes.size();
  if (given < bytes || (all && given != bytes))
    throw invalid_input("fields[" + std::to_string(f) + "].bytes.size()", given,
                        "must be the sizes of its samples, " +
                            (all ? std::to_string(bytes) : std::to_string(bytes) + " or more"));
}

}  // namespace detail

}  // namespace omnibal::inline v0
