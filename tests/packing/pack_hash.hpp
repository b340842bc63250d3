// SPDX-License-Identifier: Apache-2.0
/// @file
/// Packs as a hash, for golden tests.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include <omnibal/core/grouping.hpp>

#include "packing/sha256.hpp"

/// One group a line, ids separated by spaces: the form in which published groups are hashed.
inline std::string hash_of(const omnibal::grouping<>& packs) {
  std::string text;
  for (std::size_t k = 0; k < packs.size(); ++k)
    for (std::size_t i = 0; i < packs[k].size(); ++i)
      text += std::to_string(packs[k][i]) + (i + 1 < packs[k].size() ? ' ' : '\n');
  return sha256(std::move(text));
}
