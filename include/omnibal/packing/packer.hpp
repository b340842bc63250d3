// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a packer is, and the options that all packers share.
///
///     const omnibal::any_packer<2> packer = omnibal::packers::isf{.iterations = 20};
///     const auto result = packer.pack(samples, {.capacity = {9, 4096}, .seed = 1});
///
/// Every packer is a type of its own, whose members are the options that only it has;
/// packing/packers.hpp lists them. A program may bring its own: a type that models packer is enough
/// for choose_capacity() and for whole runs.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include <omnibal/config.hpp>
#include <omnibal/core/loads.hpp>
#include <omnibal/core/search_control.hpp>
#include <omnibal/packing/result.hpp>

namespace omnibal::inline v0 {

/// What a packer does with an oversize sample: one that alone exceeds a capacity.
enum class oversize_policy {
  reject,    ///< Throw invalid_input naming resource, sample and value.
  own_pack,  ///< Put it into a pack of its own, after all others, and list it.
  skip,      ///< Leave it out of the packs and list it.
};

/// Names of the resources in messages, e.g. {"images", "tokens"}. Without a name a resource is
/// called "resource 0", "resource 1", …. Functions read them during the call; objects copy them.
template <std::size_t Resources>
using resource_names = std::array<std::string_view, Resources>;

/// The most samples that a packer accepts: ids have 32 bits, of which one value is reserved.
inline constexpr std::uint64_t max_samples = std::numeric_limits<std::uint32_t>::max();

/// The options that all packers share.
template <std::size_t Resources>
struct packing_options {
  /// The most a pack may hold of each resource; at least 1.
  loads<Resources> capacity;
  /// The cost of one unit of each resource, in any unit of cost: what a packer that balances costs
  /// over packs balances. By default a full capacity of any resource costs the same.
  std::optional<loads<Resources>> cost = {};
  /// The same seed and epoch give the same packs; a packer that draws at random packs another epoch
  /// afresh.
  std::uint64_t seed = 0;
  std::uint64_t epoch = 0;
  oversize_policy oversize = oversize_policy::reject;
  resource_names<Resources> names = {};
  /// The most threads for large tables; 0, or more than the hardware has: as many as it has. The
  /// packs do not depend on it.
  unsigned threads = 0;
  search_control control = {};
};

/// A packer: its name on the command line, and how it packs. Every sample is in exactly one pack,
/// or listed as oversize; packs keep the capacities, except own packs of oversize samples, and are
/// not empty; result.bound is at most the least possible number of packs; invalid options, negative
/// loads and, under oversize_policy::reject, oversize samples throw invalid_input; the same options
/// give the same packs.
template <typename Packer, std::size_t Resources>
concept packer = std::copy_constructible<Packer> &&
    requires(const Packer& one, std::span<const loads<Resources>> samples,
             const packing_options<Resources>& options) {
  { Packer::name } -> std::convertible_to<std::string_view>;
  { one.pack(samples, options) } -> std::same_as<packing_result>;
};

/// Any packer, by value.
template <std::size_t Resources>
class any_packer {
 public:
  template <typename Packer>
  requires(!std::same_as<Packer, any_packer> && packer<Packer, Resources>)
      any_packer(const Packer& one)
      : name_(Packer::name),
        pack_([one](std::span<const loads<Resources>> samples,
                    const packing_options<Resources>& options) {
          return one.pack(samples, options);
        }) {}

  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] packing_result pack(std::span<const loads<Resources>> samples,
                                    const packing_options<Resources>& options) const {
    return pack_(samples, options);
  }

 private:
  std::string_view name_;
  std::function<packing_result(std::span<const loads<Resources>>,
                               const packing_options<Resources>&)>
      pack_;
};

}  // namespace omnibal::inline v0
