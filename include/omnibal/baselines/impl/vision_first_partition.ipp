// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include <omnibal/baselines/vision_first_partition.hpp>
#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>

namespace omnibal::inline v0 {

OMNIBAL_INLINE std::vector<std::size_t> partition_vision_first(std::span<const layer_kind> kinds,
                                                               std::size_t parts) {
  if (parts == 0) throw invalid_input("parts", parts, "must be at least 1");
  std::vector<std::size_t> shared;
  for (std::size_t l = 0; l < kinds.size(); ++l)
    if (kinds[l] == layer_kind::language || kinds[l] == layer_kind::custom) shared.push_back(l);
  if (shared.size() < parts) return {};
  const std::size_t share = shared.size() / parts;
  const std::size_t larger = shared.size() % parts;
  std::vector<std::size_t> cuts = {0};
  for (std::size_t part = 1; part < parts; ++part)
    cuts.push_back(shared[part * share + std::min(part, larger)]);
  cuts.push_back(kinds.size());
  return cuts;
}

}  // namespace omnibal::inline v0
