// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/random.hpp>
#include <omnibal/core/random_streams.hpp>
#include <omnibal/dataset/mixture.hpp>
#include <omnibal/dataset/table_index.hpp>

namespace omnibal::inline v0 {

namespace detail {

constexpr std::uint64_t most_in_mixture = std::numeric_limits<std::uint32_t>::max();

inline void require_one_for_each_table(const char* field, std::size_t given, std::size_t tables) {
  if (given != tables)
    throw invalid_input(std::string("number of ") + field, given,
                        "must be that of tables, " + std::to_string(tables));
}

inline void require_at_most_32_bits(const char* field, std::size_t index, std::uint64_t value) {
  if (value > most_in_mixture) throw invalid_input(field, index, value, "must be at most 2^32 - 1");
}

/// The part of a table's endless sequence that an epoch contains.
struct sequence_part {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

[[nodiscard]] inline sequence_part part_of_epoch(std::size_t table, std::uint64_t rows,
                                                 const mixture_rate& rate, std::uint64_t epoch) {
  require_at_most_32_bits("rows", table, rows);
  require_at_most_32_bits("rate numerator", table, rate.numerator);
  require_at_most_32_bits("rate denominator", table, rate.denominator);
  if (rate.denominator == 0) throw invalid_input("rate denominator", table, 0, "must not be 0");
  const auto at = [&](std::uint64_t epochs) {
    // No overflow: three factors of at most 32 bits each.
    return wide_integer{epochs} * rows * rate.numerator / rate.denominator;
  };
  const wide_integer end = at(epoch + 1);
  if (rows > 0 && (end - 1) / rows > most_in_mixture)
    throw invalid_input("epoch", epoch, "is so late that a table was read more than 2^32 times");
  return {static_cast<std::uint64_t>(at(epoch)), static_cast<std::uint64_t>(end)};
}

/// Appends a part of a table's endless sequence.
inline void append_part(const table_index& tables, std::size_t table, const sequence_part& part,
                        std::uint64_t seed, std::vector<std::uint64_t>& samples) {
  const std::uint64_t rows = tables.rows(table);
  std::vector<std::uint32_t> pass(rows);
  for (std::uint64_t at = part.begin; at < part.end;) {
    const std::uint64_t number = at / rows;
    const std::uint64_t pass_end = std::min((number + 1) * rows, part.end);
    std::iota(pass.begin(), pass.end(), 0U);
    random_stream random =
        stream_for(seed, random_purpose::mixture_pass, std::uint64_t{table} << 32 | number);
    shuffle_randomly(pass, random);
    for (; at < pass_end; ++at)
      samples.push_back(tables.sample({.table = table, .row = pass[at % rows]}));
  }
}

}  // namespace detail

OMNIBAL_INLINE std::vector<std::uint64_t> draw_mixture(const table_index& tables,
                                                       std::span<const mixture_rate> rates,
                                                       const mixture_options& options) {
  detail::require_one_for_each_table("rates", rates.size(), tables.tables());
  if (tables.tables() > 1U << 24)
    throw invalid_input("number of tables", tables.tables(), "must be at most 2^24");
  if (options.epoch >= detail::most_in_mixture)
    throw invalid_input("epoch", options.epoch, "must be less than 2^32 - 1");
  std::vector<detail::sequence_part> parts;
  std::uint64_t total = 0;
  for (std::size_t table = 0; table < rates.size(); ++table) {
    parts.push_back(detail::part_of_epoch(table, tables.rows(table), rates[table], options.epoch));
    total = checked_add(total, parts.back().end - parts.back().begin, "samples of an epoch");
  }
  if (total > detail::most_in_mixture)
    throw invalid_input("samples of an epoch", total, "must be at most 2^32 - 1");
  std::vector<std::uint64_t> samples;
  samples.reserve(total);
  for (std::size_t table = 0; table < parts.size(); ++table)
    detail::append_part(tables, table, parts[table], options.seed, samples);
  random_stream random = stream_for(options.seed, random_purpose::mixture_epoch, options.epoch);
  shuffle_randomly(samples, random);
  return samples;
}

OMNIBAL_INLINE std::vector<mixture_rate> rates_for(const table_index& tables,
                                                   std::span<const std::uint64_t> weights,
                                                   std::uint64_t samples) {
  detail::require_one_for_each_table("weights", weights.size(), tables.tables());
  if (samples > detail::most_in_mixture)
    throw invalid_input("samples", samples, "must be at most 2^32 - 1");
  wide_integer sum = 0;
  for (std::size_t table = 0; table < weights.size(); ++table) {
    detail::require_at_most_32_bits("weights", table, weights[table]);
    if (weights[table] > 0 && tables.rows(table) == 0)
      throw invalid_input("weights", table, weights[table], "must be 0 for a table without rows");
    sum += weights[table];
  }
  if (sum == 0) throw invalid_input("weights", 0, "must not all be 0");
  std::vector<mixture_rate> rates;
  std::vector<wide_integer> remainders;
  std::uint64_t left = samples;
  for (std::size_t table = 0; table < weights.size(); ++table) {
    const wide_integer share = wide_integer{weights[table]} * samples;
    const auto whole = static_cast<std::uint64_t>(share / sum);
    rates.push_back({whole, std::max<std::uint64_t>(tables.rows(table), 1)});
    remainders.push_back(share % sum);
    left -= whole;
  }
  std::vector<std::size_t> order(rates.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(
      order, [&](std::size_t a, std::size_t b) { return remainders[a] > remainders[b]; });
  // The remainders add up to `left` whole samples, so at least `left` tables have a remainder.
  for (std::size_t k = 0; k < left; ++k) ++rates[order[k]].numerator;
  return rates;
}

}  // namespace omnibal::inline v0
