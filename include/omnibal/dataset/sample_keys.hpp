// SPDX-License-Identifier: Apache-2.0
/// @file
/// Stable sample keys: the caller's own ids, which do not change when a table is sorted, read in
/// another order or assembled from other files. Plans refer to samples by their place in the table;
/// these functions transfer a plan from one order of a table to another, or refuse when the samples
/// are not the same.
///
///     auto places = match_keys(old_keys, new_keys);
///     require_same_loads(old_keys, old_samples, new_samples, places);
///     packs = renumber_samples(packs, places);
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <numeric>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/hash.hpp>
#include <omnibal/core/loads.hpp>

namespace omnibal::inline v0 {

/// The key of a sample: an integer or a text.
template <typename Key>
concept sample_key = (std::integral<Key> && !std::same_as<Key, bool>) ||
                     std::convertible_to<const Key&, std::string_view>;

/// A fingerprint of a table without keys: the hash of its loads in order, the same on every
/// platform. O(n).
template <std::ranges::random_access_range Samples, typename Projection = std::identity>
requires sample_range<const Samples, Projection>
[[nodiscard]] std::uint64_t table_fingerprint(const Samples& samples,
                                              const Projection& projection = {});

/// A fingerprint of a table with keys: the hash of each key with its loads, independent of the
/// order of the table. Throws invalid_input unless there is one key per sample, and for a repeated
/// key, naming both places. O(n · log n).
template <sample_key Key, std::ranges::random_access_range Samples,
          typename Projection = std::identity>
requires sample_range<const Samples, Projection>
[[nodiscard]] std::uint64_t keyed_fingerprint(std::span<const Key> keys, const Samples& samples,
                                              const Projection& projection = {});

/// The place of each sample of one table in another: element k is the place in `to` of the key
/// from[k]. Both tables must have the same keys. Throws invalid_input for a repeated key, naming
/// both places, and for different keys, naming the first that is missing from `to` or, when none is
/// missing, the first that is new there. O(n · log n).
template <sample_key Key>
[[nodiscard]] std::vector<std::uint32_t> match_keys(std::span<const Key> from,
                                                    std::span<const Key> to);

/// Throws invalid_input naming the first key whose sample has other loads in `to` than in `from`;
/// `places` as returned by match_keys. Throws it also when the numbers of samples differ. O(n).
template <sample_key Key, typename From, typename To>
requires sample_range<const From> && sample_range<const To>
void require_same_loads(std::span<const Key> keys, const From& from, const To& to,
                        std::span<const std::uint32_t> places);

/// Packs with every sample k replaced by places[k]: transfers packs from one table to another.
/// Throws invalid_input when a pack refers to a sample beyond the last place. O(n).
[[nodiscard]] grouping<std::uint32_t> renumber_samples(const grouping<std::uint32_t>& packs,
                                                       std::span<const std::uint32_t> places);

namespace detail {

template <sample_key Key>
[[nodiscard]] std::string text_of(const Key& key) {
  if constexpr (std::integral<Key>)
    return std::to_string(key);
  else
    return std::string(std::string_view(key));
}

template <sample_key Key>
[[nodiscard]] bool key_before(const Key& left, const Key& right) {
  if constexpr (std::integral<Key>)
    return left < right;
  else
    return std::string_view(left) < std::string_view(right);
}

/// The places of all keys in ascending order of keys. Throws invalid_input for a repeated key.
template <sample_key Key>
[[nodiscard]] std::vector<std::uint32_t> places_by_key(std::span<const Key> keys) {
  if (keys.size() > std::numeric_limits<std::uint32_t>::max())
    throw invalid_input("number of keys", keys.size(), "must be at most 2^32 - 1");
  std::vector<std::uint32_t> places(keys.size());
  std::iota(places.begin(), places.end(), 0U);
  std::ranges::stable_sort(
      places, [&](std::uint32_t a, std::uint32_t b) { return key_before(keys[a], keys[b]); });
  for (std::size_t k = 1; k < places.size(); ++k)
    if (!key_before(keys[places[k - 1]], keys[places[k]]))
      throw invalid_input("keys", places[k], text_of(keys[places[k]]),
                          "is the key of sample " + std::to_string(places[k - 1]) +
                              " too: every sample needs a key of its own");
  return places;
}

/// The places of those `keys` that are not among `others`; both lists of places in order of keys.
template <sample_key Key>
[[nodiscard]] std::vector<std::uint32_t> places_without_partner(
    std::span<const Key> keys, std::span<const std::uint32_t> places, std::span<const Key> others,
    std::span<const std::uint32_t> other_places) {
  std::vector<std::uint32_t> alone;
  std::size_t next = 0;
  for (const std::uint32_t place : places) {
    while (next < other_places.size() && key_before(others[other_places[next]], keys[place]))
      ++next;
    if (next == other_places.size() || key_before(keys[place], others[other_places[next]]))
      alone.push_back(place);
  }
  return alone;
}

template <load_array Loads>
void add_loads_to_hash(hash_stream& hash, const Loads& loads) {
  for (const auto load : loads) add_to_hash(hash, load);
}

}  // namespace detail

template <std::ranges::random_access_range Samples, typename Projection>
requires sample_range<const Samples, Projection> std::uint64_t table_fingerprint(
    const Samples& samples, const Projection& projection) {
  hash_stream hash;
  add_to_hash(hash, std::uint64_t{std::ranges::size(samples)});
  for (const auto& sample : samples)
    detail::add_loads_to_hash(hash, std::invoke(projection, sample));
  return hash.value();
}

template <sample_key Key, std::ranges::random_access_range Samples, typename Projection>
requires sample_range<const Samples, Projection> std::uint64_t keyed_fingerprint(
    std::span<const Key> keys, const Samples& samples, const Projection& projection) {
  if (keys.size() != std::ranges::size(samples))
    throw invalid_input("number of keys", keys.size(),
                        "must be that of samples, " + std::to_string(std::ranges::size(samples)));
  hash_stream hash;
  add_to_hash(hash, std::uint64_t{keys.size()});
  for (const std::uint32_t place : detail::places_by_key(keys)) {
    if constexpr (std::integral<Key>)
      add_to_hash(hash, keys[place]);
    else
      add_to_hash(hash, std::string_view(keys[place]));
    detail::add_loads_to_hash(
        hash, std::invoke(projection, std::ranges::begin(samples)[std::ptrdiff_t{place}]));
  }
  return hash.value();
}

template <sample_key Key>
std::vector<std::uint32_t> match_keys(std::span<const Key> from, std::span<const Key> to) {
  const auto from_places = detail::places_by_key(from);
  const auto to_places = detail::places_by_key(to);
  const auto missing = detail::places_without_partner(from, from_places, to, to_places);
  if (!missing.empty()) {
    const std::uint32_t first = *std::ranges::min_element(missing);
    throw invalid_input(
        "keys", first, detail::text_of(from[first]),
        "is missing from the other table, with " + std::to_string(missing.size()) + " in all");
  }
  const auto added = detail::places_without_partner(to, to_places, from, from_places);
  if (!added.empty()) {
    const std::uint32_t first = *std::ranges::min_element(added);
    throw invalid_input(
        "keys", first, detail::text_of(to[first]),
        "is new in the other table, with " + std::to_string(added.size()) + " in all");
  }
  std::vector<std::uint32_t> places(from.size());
  for (std::size_t k = 0; k < places.size(); ++k) places[from_places[k]] = to_places[k];
  return places;
}

template <sample_key Key, typename From, typename To>
requires sample_range<const From> && sample_range<const To>
void require_same_loads(std::span<const Key> keys, const From& from, const To& to,
                        std::span<const std::uint32_t> places) {
  const std::size_t samples = std::ranges::size(from);
  if (keys.size() != samples || places.size() != samples || std::ranges::size(to) != samples)
    throw invalid_input("number of samples", std::size_t{std::ranges::size(to)},
                        "must be that of keys, " + std::to_string(keys.size()) + ", of places, " +
                            std::to_string(places.size()) + ", and of the other table, " +
                            std::to_string(samples));
  const auto at = [](const auto& table, std::size_t k) -> const auto& {
    return std::ranges::begin(table)[static_cast<std::ptrdiff_t>(k)];
  };
  for (std::size_t k = 0; k < places.size(); ++k) {
    if (places[k] >= samples)
      throw invalid_input("places", k, places[k], "must be less than " + std::to_string(samples));
    const auto& before = at(from, k);
    const auto& after = at(to, places[k]);
    for (std::size_t r = 0; r < before.size(); ++r)
      if (std::cmp_not_equal(before[r], after[r]))
        throw invalid_input("keys", k, detail::text_of(keys[k]),
                            "has load " + std::to_string(after[r]) + " of resource " +
                                std::to_string(r) + ", but had " + std::to_string(before[r]));
  }
}

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/dataset/impl/sample_keys.ipp>
#endif
