// SPDX-License-Identifier: Apache-2.0
/// @file
/// The cost of a pack that packers balance: linear in the load of each resource.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include <omnibal/config.hpp>
#include <omnibal/core/arithmetic.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/packing/detail/pack_limits.hpp>

namespace omnibal::inline v0::detail {

/// Costs scaled such that a full pack costs about 2⁴⁰, for any capacities and unit costs: precise
/// enough to compare samples, small enough to add up in 64 bits.
template <std::size_t Resources>
class pack_cost {
 public:
  /// `unit_costs` is the cost of one unit of each resource; without it, a full capacity of any
  /// resource costs the same. Throws invalid_input for negative costs.
  pack_cost(const pack_limits<Resources>& limits,
            const std::optional<loads<Resources>>& unit_costs) {
    std::array<wide_integer, Resources> full{};
    wide_integer sum = 0;
    for (std::size_t r = 0; r < Resources; ++r) {
      if (unit_costs && (*unit_costs)[r] < 0)
        throw invalid_input("cost of " + limits.name(r), (*unit_costs)[r], "must not be negative");
      full[r] = unit_costs
                    ? wide_integer{(*unit_costs)[r]} * limits.capacity[r] / wide_integer{Resources}
                    : 1;
      sum += full[r];
    }
    for (std::size_t r = 0; r < Resources && sum > 0; ++r)
      set_full_cost(r, limits.capacity[r], share_of_full_pack(full[r], sum));
  }

  [[nodiscard]] std::int64_t operator()(std::size_t resource, std::uint64_t load) const noexcept {
    return static_cast<std::int64_t>(load >> shift_[resource]) * unit_cost_[resource];
  }

  /// The cost of a sample with the loads sums.load(sample, r).
  template <typename Sums>
  [[nodiscard]] std::int64_t operator()(const Sums& sums,
                                        const typename Sums::word& sample) const noexcept {
    std::int64_t cost = 0;
    for (std::size_t r = 0; r < Resources; ++r) cost += (*this)(r, sums.load(sample, r));
    return cost;
  }

  /// The same as a share of a full pack, in units of 2⁻¹⁶, 0 … 2¹⁶ − 1.
  template <typename Sums>
  [[nodiscard]] std::uint16_t share(const Sums& sums,
                                    const typename Sums::word& sample) const noexcept {
    const std::int64_t cost = (*this)(sums, sample) >> (full_bits - 16);
    return static_cast<std::uint16_t>(std::min<std::int64_t>(cost, 0xFFFF));
  }

 private:
  static constexpr unsigned full_bits = 40;
  static constexpr unsigned load_bits = 24;  // of a capacity; lower bits are ignored

  // 2⁴⁰ · part / sum, without overflow of 128 bits.
  [[nodiscard]] static std::int64_t share_of_full_pack(wide_integer part,
                                                       wide_integer sum) noexcept {
    while (sum >= wide_integer{1} << 80) part >>= 1, sum >>= 1;
    return static_cast<std::int64_t>((part << full_bits) / sum);
  }

  void set_full_cost(std::size_t r, std::int64_t capacity, std::int64_t cost) noexcept {
    const auto most = static_cast<std::uint64_t>(capacity);
    const auto bits = static_cast<unsigned>(std::bit_width(most));
    shift_[r] = bits > load_bits ? bits - load_bits : 0;
    unit_cost_[r] = cost / static_cast<std::int64_t>(most >> shift_[r]);
  }

  std::array<unsigned, Resources> shift_{};
  std::array<std::int64_t, Resources> unit_cost_{};
};

}  // namespace omnibal::inline v0::detail
