// SPDX-License-Identifier: Apache-2.0
/// @file
/// Serialization of plans and positions for checkpoints: little-endian integers between a mark
/// that names the format and a checksum. The bytes are the same on every platform.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <omnibal/config.hpp>
#include <omnibal/core/error.hpp>
#include <omnibal/core/hash.hpp>

namespace omnibal::inline v0 {

/// Writes a mark of eight letters, a version, any integers, and finally a hash of all these bytes.
/// Nothing is written by a call that throws.
class byte_writer {
 public:
  byte_writer(std::string_view mark, std::uint32_t version) {
    for (const char letter : mark) bytes_.push_back(static_cast<std::byte>(letter));
    add(version);
  }

  template <std::unsigned_integral Number>
  void add(Number number) {
    std::array<std::byte, sizeof(Number)> bytes;
    for (std::size_t k = 0; k < sizeof(Number); ++k)
      bytes[k] = static_cast<std::byte>(number >> (8 * k) & 0xFF);
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }

  /// Writes the number of elements, then the elements.
  template <std::unsigned_integral Number, std::size_t Extent>
  void add(std::span<const Number, Extent> numbers) {
    const std::size_t before = bytes_.size();
    try {
      add(std::uint64_t{numbers.size()});
      for (const Number number : numbers) add(number);
    } catch (...) {
      bytes_.resize(before);
      throw;
    }
  }

  /// Returns all bytes with the checksum appended. Nothing may be added afterwards.
  [[nodiscard]] std::vector<std::byte> finish() {
    hash_stream hash;
    hash.add(bytes_);
    add(hash.value());
    return std::move(bytes_);
  }

 private:
  std::vector<std::byte> bytes_;
};

/// Reads what byte_writer wrote; the bytes must outlive the reader. Throws invalid_input naming
/// `field` when the bytes have another mark or version, are too few or too many, or do not match
/// their checksum.
class byte_reader {
 public:
  byte_reader(std::string_view field, std::span<const std::byte> bytes, std::string_view mark,
              std::uint32_t version)
      : field_(field), bytes_(bytes) {
    if (bytes.size() < mark.size() + sizeof version + checksum_size)
      throw invalid_input(field, bytes.size(), "bytes are too few: it was cut short");
    for (const char letter : mark)
      if (read<std::uint8_t>() != static_cast<std::uint8_t>(letter))
        throw invalid_input(field, bytes.size(), "bytes hold something else");
    // Before the checksum, which another version may compute differently.
    if (const auto written = read<std::uint32_t>(); written != version)
      throw invalid_input(
          std::string(field) + " version", written,
          "must be " + std::to_string(version) + ": it was written by another release");
    check_sum();
  }

  template <std::unsigned_integral Number>
  [[nodiscard]] Number read() {
    require(sizeof(Number));
    std::uint64_t number = 0;
    for (std::size_t k = 0; k < sizeof(Number); ++k)
      number |= std::to_integer<std::uint64_t>(bytes_[at_++]) << (8 * k);
    return static_cast<Number>(number);
  }

  template <std::unsigned_integral Number>
  [[nodiscard]] std::vector<Number> read_list() {
    const auto count = read<std::uint64_t>();
    if (count > bytes_.size() / sizeof(Number)) require(bytes_.size());
    std::vector<Number> numbers;
    numbers.reserve(count);
    for (std::uint64_t k = 0; k < count; ++k) numbers.push_back(read<Number>());
    return numbers;
  }

  /// Throws invalid_input unless everything before the checksum was read.
  void expect_end() const {
    if (at_ + checksum_size != bytes_.size())
      throw invalid_input(field_, bytes_.size(), "bytes are too many");
  }

 private:
  static constexpr std::size_t checksum_size = sizeof(std::uint64_t);

  void require(std::size_t count) const {
    if (count > bytes_.size() - checksum_size - at_)
      throw invalid_input(field_, bytes_.size(), "bytes are too few: it was cut short");
  }

  void check_sum() const {
    const std::size_t end = bytes_.size() - checksum_size;
    hash_stream hash;
    hash.add(bytes_.first(end));
    std::uint64_t written = 0;
    for (std::size_t k = 0; k < checksum_size; ++k)
      written |= std::to_integer<std::uint64_t>(bytes_[end + k]) << (8 * k);
    if (written != hash.value())
      throw invalid_input(field_ + " checksum", written,
                          "is not that of its bytes: it was damaged or cut short");
  }

  std::string field_;
  std::span<const std::byte> bytes_;
  std::size_t at_ = 0;
};

}  // namespace omnibal::inline v0
