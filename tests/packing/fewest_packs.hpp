// SPDX-License-Identifier: Apache-2.0
/// @file
/// The least number of packs, found by trying everything: for up to ten samples.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <omnibal/core/loads.hpp>

template <std::size_t Resources>
class exhaustive_packer {
 public:
  using loads = omnibal::loads<Resources>;

  exhaustive_packer(const std::vector<loads>& samples, const loads& capacity)
      : samples_(samples), capacity_(capacity), best_(samples.size()) {}

  [[nodiscard]] std::size_t fewest() {
    place(0);
    return best_;
  }

 private:
  void place(std::size_t next) {
    if (next == samples_.size()) best_ = std::min(best_, packs_.size());
    if (next == samples_.size() || packs_.size() >= best_) return;
    for (std::size_t k = 0; k < packs_.size(); ++k) {
      const loads before = packs_[k];
      if (add(packs_[k], samples_[next])) place(next + 1);
      packs_[k] = before;
    }
    packs_.push_back(samples_[next]);
    place(next + 1);
    packs_.pop_back();
  }

  [[nodiscard]] bool add(loads& pack, const loads& sample) const {
    bool fits = true;
    for (std::size_t r = 0; r < Resources; ++r) fits &= (pack[r] += sample[r]) <= capacity_[r];
    return fits;
  }

  const std::vector<loads>& samples_;
  loads capacity_;
  std::size_t best_;
  std::vector<loads> packs_;
};

template <std::size_t Resources>
[[nodiscard]] std::size_t fewest_packs(const std::vector<omnibal::loads<Resources>>& samples,
                                       const omnibal::loads<Resources>& capacity) {
  return exhaustive_packer<Resources>(samples, capacity).fewest();
}
