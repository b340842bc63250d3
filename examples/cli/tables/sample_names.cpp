// SPDX-License-Identifier: Apache-2.0
#include "tables/sample_names.hpp"

#include <span>

#include <omnibal/core/error.hpp>
#include <omnibal/dataset/sample_keys.hpp>

#include "errors.hpp"

namespace omnibal::cli {
namespace {

std::string sixteen_digits(std::uint64_t value) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text(16, '0');
  for (std::size_t k = text.size(); k-- > 0; value >>= 4) text[k] = digits[value & 15];
  return text;
}

}  // namespace

std::string keys_fingerprint(const length_tables& tables) {
  try {
    return std::visit(
        [&](const auto& samples) {
          return sixteen_digits(
              keyed_fingerprint(std::span<const std::string>(tables.keys), samples));
        },
        tables.samples);
  } catch (const invalid_input& error) {
    throw usage_error(std::string("--key: ") + error.what());
  }
}

std::vector<std::uint32_t> places_of_keys(const std::string& path,
                                          const std::vector<std::string>& keys,
                                          const length_tables& tables) {
  try {
    return match_keys(std::span<const std::string>(keys),
                      std::span<const std::string>(tables.keys));
  } catch (const invalid_input& error) {
    throw usage_error(path + ": " + error.what());
  }
}

}  // namespace omnibal::cli
