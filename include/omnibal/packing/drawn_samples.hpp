// SPDX-License-Identifier: Apache-2.0
/// @file
/// Packs of samples that were drawn from a table, some of them several times and some not at all,
/// as a weighted mixture of tables draws an epoch (dataset/mixture.hpp).
///
///     const auto pack = [&](std::span<const omnibal::loads<2>> loads) {
///       return omnibal::pack_balanced(loads, {.capacity = {9, 4096}});
///     };
///     const auto result = omnibal::pack_drawn<2>(samples, drawn, pack);
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/grouping.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/packing/packer.hpp>
#include <omnibal/packing/result.hpp>

namespace omnibal::inline v0 {

/// The loads of the samples drawn, in the order drawn. Throws invalid_input for an id beyond the
/// last sample. O(drawn).
template <std::size_t Resources>
[[nodiscard]] std::vector<loads<Resources>> drawn_loads(std::span<const loads<Resources>> samples,
                                                        std::span<const std::uint32_t> drawn);

/// How often each sample was drawn, of so many samples: what check_packing() takes as `times`.
/// Throws invalid_input for an id beyond the last sample. O(samples + drawn).
[[nodiscard]] std::vector<std::uint32_t> times_drawn(std::span<const std::uint32_t> drawn,
                                                     std::size_t samples);

/// Packs the samples drawn. `pack(loads)` returns the packing_result of the loads in the order
/// drawn, where they are samples 0, 1, …; it may choose a capacity from them or improve the packs.
/// In the result, packs and oversize samples are ids of `samples`; an oversize sample that was
/// drawn several times is listed once, and has as many own packs as the packer gave it. What `pack`
/// throws is thrown on; invalid_input that names a load, of `names` as given to the packer, has the
/// id of the sample in place of its place among those drawn. Throws invalid_input for an id beyond
/// the last sample. O(drawn), beside `pack`.
template <std::size_t Resources, typename Pack>
requires std::is_invocable_r_v<packing_result, const Pack&, std::span<const loads<Resources>>>
[[nodiscard]] packing_result pack_drawn(std::span<const loads<Resources>> samples,
                                        std::span<const std::uint32_t> drawn, const Pack& pack,
                                        const resource_names<Resources>& names = {});

namespace detail {

inline void expect_drawn_from(std::span<const std::uint32_t> drawn, std::size_t samples) {
  for (std::size_t k = 0; k < drawn.size(); ++k)
    if (drawn[k] >= samples)
      throw invalid_input("drawn", k, drawn[k], "names a sample beyond the last");
}

/// Whether the error is about the load of a sample.
template <std::size_t Resources>
[[nodiscard]] bool names_a_load(const invalid_input& error,
                                const resource_names<Resources>& names) {
  if (!error.index()) return false;
  if (error.field() == "samples") return true;
  for (std::size_t r = 0; r < Resources; ++r)
    if (error.field() == (names[r].empty() ? "resource " + std::to_string(r) : names[r]))
      return true;
  return false;
}

[[nodiscard]] inline grouping<std::uint32_t> with_ids(const grouping<std::uint32_t>& packs,
                                                      std::span<const std::uint32_t> drawn) {
  grouping<std::uint32_t> renamed;
  renamed.reserve(packs.size(), packs.indices().size());
  for (std::size_t k = 0; k < packs.size(); ++k) {
    for (const std::uint32_t place : packs[k]) renamed.push_back(drawn[place]);
    renamed.close_group();
  }
  return renamed;
}

}  // namespace detail

template <std::size_t Resources>
std::vector<loads<Resources>> drawn_loads(std::span<const loads<Resources>> samples,
                                          std::span<const std::uint32_t> drawn) {
  detail::expect_drawn_from(drawn, samples.size());
  std::vector<loads<Resources>> some;
  some.reserve(drawn.size());
  for (const std::uint32_t id : drawn) some.push_back(samples[id]);
  return some;
}

template <std::size_t Resources, typename Pack>
requires std::is_invocable_r_v<packing_result, const Pack&, std::span<const loads<Resources>>>
    packing_result pack_drawn(std::span<const loads<Resources>> samples,
                              std::span<const std::uint32_t> drawn, const Pack& pack,
                              const resource_names<Resources>& names) {
  const std::vector<loads<Resources>> some = drawn_loads(samples, drawn);
  packing_result result;
  try {
    result = pack(std::span(some));
  } catch (const invalid_input& error) {
    if (!detail::names_a_load(error, names) || *error.index() >= drawn.size()) throw;
    throw invalid_input(error.field(), drawn[*error.index()], error.value(), error.advice());
  }
  result.packs = detail::with_ids(result.packs, drawn);
  for (std::uint32_t& id : result.oversize) id = drawn[id];
  std::sort(result.oversize.begin(), result.oversize.end());
  result.oversize.erase(std::unique(result.oversize.begin(), result.oversize.end()),
                        result.oversize.end());
  return result;
}

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/packing/impl/drawn_samples.ipp>
#endif
