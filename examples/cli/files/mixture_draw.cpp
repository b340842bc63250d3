// SPDX-License-Identifier: Apache-2.0
#include "files/mixture_draw.hpp"

#include <limits>
#include <numeric>
#include <optional>

#include <omnibal/core/error.hpp>

#include "options/units.hpp"

namespace omnibal::cli {
namespace {

constexpr std::int64_t most_ids = std::numeric_limits<std::uint32_t>::max();

std::optional<mixture_rate> in_lowest_terms(decimal above, decimal below) {
  // a / s : b / t = a · t : b · s, where one of s and t is 1.
  if (above.digits == 0 || below.digits == 0) return std::nullopt;
  const std::int64_t shared = std::gcd(above.digits, below.digits * above.scale);
  const std::int64_t numerator = above.digits / shared;
  const std::int64_t denominator = below.digits * above.scale / shared;
  if (numerator > most_ids || denominator > most_ids) return std::nullopt;
  return mixture_rate{static_cast<std::uint64_t>(numerator),
                      static_cast<std::uint64_t>(denominator)};
}

std::optional<mixture_rate> try_parse_rate(std::string_view text) {
  const std::size_t stroke = text.find('/');
  const auto above = parse_decimal(text.substr(0, stroke));
  if (!above) return std::nullopt;
  if (stroke == std::string_view::npos) return in_lowest_terms(*above, {.digits = 1});
  const auto below = parse_decimal(text.substr(stroke + 1));
  const bool integers = text.find('.') == std::string_view::npos;
  if (!below || !integers) return std::nullopt;
  return in_lowest_terms(*above, *below);
}

std::string to_text(const mixture_rate& rate) {
  const std::string numerator = std::to_string(rate.numerator);
  return rate.denominator == 1 ? numerator : numerator + '/' + std::to_string(rate.denominator);
}

}  // namespace

mixture_rate parse_rate(std::string_view field, std::size_t index, std::string_view text) {
  if (const auto rate = try_parse_rate(text)) return *rate;
  throw invalid_input(field, index, text.empty() ? "nothing" : text,
                      "must be a rate above 0 like 3, 5/2 or 2.5, with numerator and "
                      "denominator of at most 32 bits");
}

std::vector<mixture_rate> parse_rates(std::string_view option, std::string_view text) {
  std::vector<mixture_rate> rates;
  for (const std::string_view part : split(text, ','))
    rates.push_back(parse_rate(option, rates.size(), part));
  return rates;
}

std::vector<std::uint64_t> rows_of(const std::vector<table_input>& inputs) {
  std::vector<std::uint64_t> rows;
  for (const table_input& input : inputs) rows.push_back(input.samples);
  return rows;
}

std::vector<std::uint32_t> draw_samples(const mixture_draw& mixture) {
  const table_index tables(mixture.rows);
  if (tables.samples() > static_cast<std::uint64_t>(most_ids))
    throw invalid_input("number of samples", tables.samples(), "must be at most 2^32 - 1");
  const auto drawn =
      draw_mixture(tables, mixture.rates, {.seed = mixture.seed, .epoch = mixture.epoch});
  std::vector<std::uint32_t> ids;
  ids.reserve(drawn.size());
  for (const std::uint64_t id : drawn) ids.push_back(static_cast<std::uint32_t>(id));
  return ids;
}

json to_json(const mixture_draw& mixture) {
  json rates = json::array();
  for (const mixture_rate& rate : mixture.rates) rates.push_back(to_text(rate));
  return {{"rates", rates}, {"seed", mixture.seed}, {"epoch", mixture.epoch}};
}

}  // namespace omnibal::cli
