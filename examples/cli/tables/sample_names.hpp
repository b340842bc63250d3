// SPDX-License-Identifier: Apache-2.0
/// @file
/// Samples named by a field of their tables (--key), so that packs outlive another order of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tables/tables.hpp"

namespace omnibal::cli {

/// A fingerprint of all keys with what their samples weigh, in whatever order, as 16 hexadecimal
/// digits. Throws invalid_input naming --key where a key is there twice. O(n · log n).
[[nodiscard]] std::string keys_fingerprint(const length_tables& tables);

/// Where each sample of packs is in the tables: element k is the sample whose key is keys[k].
/// Throws invalid_input naming `path` and the first key that is there twice, missing or new. O(n ·
/// log n).
[[nodiscard]] std::vector<std::uint32_t> places_of_keys(const std::string& path,
                                                        const std::vector<std::string>& keys,
                                                        const length_tables& tables);

}  // namespace omnibal::cli
