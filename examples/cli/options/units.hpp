// SPDX-License-Identifier: Apache-2.0
/// @file
/// Values that people write: integers, bytes with units, amounts per resource. Nothing is
/// rounded, wrapped or ignored; what has no exact value throws invalid_input naming the option.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace omnibal::cli {

struct integer_range {
  std::int64_t least = 0;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
};

/// A decimal integer within a range.
[[nodiscard]] std::int64_t parse_integer(std::string_view option, std::string_view text,
                                         integer_range range);

/// digits / scale, exactly; the scale is a power of ten.
struct decimal {
  std::int64_t digits = 0;
  std::int64_t scale = 1;
};

/// A decimal number without sign or exponent, or nothing when it is none or too long.
[[nodiscard]] std::optional<decimal> parse_decimal(std::string_view text);

/// The parts of `text` between separators.
[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char separator);

/// A share of a whole, exactly as written.
struct fraction {
  std::uint32_t numerator = 0;
  std::uint32_t denominator = 1;
};

/// A decimal number from 0 to 1 with at most nine decimals.
[[nodiscard]] fraction parse_fraction(std::string_view option, std::string_view text);

/// A share of a whole from 0 to 1, as in `0.1` or `10%`.
[[nodiscard]] double parse_share(std::string_view option, std::string_view text);

/// A part of another amount, not negative and perhaps more than it, as in `0.1`, `10%` or `150%`.
[[nodiscard]] double parse_ratio(std::string_view option, std::string_view text);

/// A finite decimal number, not negative.
[[nodiscard]] double parse_number(std::string_view option, std::string_view text);

/// Bytes: `1024`, `80GiB`, `1.5GiB`, `6GB` (B; kB … TB are powers of 1000, KiB … TiB of 1024).
/// Must be a whole number of bytes.
[[nodiscard]] std::int64_t parse_bytes(std::string_view option, std::string_view text,
                                       std::int64_t least = 0);

/// `images=9,tokens=4096` in the order of `resources`; a resource may be left out, none may be
/// named twice, and values lie within the range.
[[nodiscard]] std::vector<std::optional<std::int64_t>> parse_some_amounts(
    std::string_view option, std::string_view text, std::span<const std::string> resources,
    integer_range range);

/// The same with every resource named.
[[nodiscard]] std::vector<std::int64_t> parse_amounts(std::string_view option,
                                                      std::string_view text,
                                                      std::span<const std::string> resources,
                                                      integer_range range);

/// Throws invalid_input: `text` is none of `names`, one of which is suggested.
[[noreturn]] void throw_not_among(std::string_view option, std::string_view text,
                                  std::span<const std::string> names);

}  // namespace omnibal::cli
