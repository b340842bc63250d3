// SPDX-License-Identifier: Apache-2.0
/// @file
/// The packer of a run: it packs samples by tiles and tokens, and also by their number where the
/// global batch limits the samples of a micro-batch.
#pragma once

#include <concepts>

#include <omnibal/config.hpp>
#include <omnibal/packing/packer.hpp>

namespace omnibal::inline v0 {

/// Any packer that takes two resources and three, by value.
class microbatch_packer {
 public:
  template <typename Packer>
  requires(!std::same_as<Packer, microbatch_packer> && packer<Packer, 2> && packer<Packer, 3>)
      microbatch_packer(const Packer& one)
      : by_load_(one), by_load_and_number_(one) {}

  /// Packs by tiles and tokens.
  [[nodiscard]] const any_packer<2>& by_load() const noexcept { return by_load_; }
  /// Packs by tiles, tokens and samples.
  [[nodiscard]] const any_packer<3>& by_load_and_number() const noexcept {
    return by_load_and_number_;
  }

 private:
  any_packer<2> by_load_;
  any_packer<3> by_load_and_number_;
};

}  // namespace omnibal::inline v0
