// SPDX-License-Identifier: Apache-2.0
/// @file
/// Samples named by a field of their tables (--key), so that packs stay valid in another order.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tables/tables.hpp"

namespace omnibal::cli {

/// A fingerprint of all keys with the loads of their samples, independent of their order, as 16
/// hexadecimal digits. Throws invalid_input naming --key where a key is repeated. O(n · log n).
[[nodiscard]] std::string keys_fingerprint(const length_tables& tables);

/// The position of each sample of packs in the tables: element k is the sample whose key is
/// keys[k]. Throws invalid_input naming `path` and the first key that is repeated, missing or new.
/// O(n · log n).
[[nodiscard]] std::vector<std::uint32_t> places_of_keys(const std::string& path,
                                                        const std::vector<std::string>& keys,
                                                        const length_tables& tables);

}  // namespace omnibal::cli
