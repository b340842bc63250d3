// SPDX-License-Identifier: Apache-2.0
/// @file
/// The library's errors name its own members; people who run the command know keys of files and
/// options. Tables from the one to the other, and errors put in their words.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include <omnibal/core/error.hpp>

namespace omnibal::cli {

/// A member of the library, with `[]` in place of an index, and the key or option that gives it.
struct given_name {
  std::string_view member;
  std::string_view given;
};

/// Of problem files.
[[nodiscard]] std::span<const given_name> problem_keys();
/// Of model files.
[[nodiscard]] std::span<const given_name> model_keys();
/// Of profiles and calibrations.
[[nodiscard]] std::span<const given_name> profile_keys();
/// Of shapes, from which tables are drawn.
[[nodiscard]] std::span<const given_name> shape_keys();
/// Of steps to be simulated, beside those of problem files.
[[nodiscard]] std::span<const given_name> step_keys();
/// Options of `omnibal plan --lengths`.
[[nodiscard]] std::span<const given_name> plan_options();

/// The text with members in the words of the table.
[[nodiscard]] std::string in_given_words(std::string text, std::span<const given_name> names);

/// The error in words of the table, after `where` (a file with ": ", or nothing) if its field is in
/// it; else unchanged.
[[nodiscard]] invalid_input in_given_words(const invalid_input& error,
                                           std::span<const given_name> names,
                                           const std::string& where);

/// What the function returns; the library's errors are thrown on in the words of the table.
template <typename Function>
decltype(auto) with_given_names(std::span<const given_name> names, const std::string& where,
                                Function&& function) {
  try {
    return std::forward<Function>(function)();
  } catch (const invalid_input& error) {
    throw in_given_words(error, names, where);
  }
}

}  // namespace omnibal::cli
