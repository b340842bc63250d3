// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a launcher says of this process, in environment variables that launchers share: RANK,
/// WORLD_SIZE and LOCAL_RANK; and a file of all processes by which they find each other.
#pragma once

#include <charconv>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <system_error>

#include <omnibal/core/error.hpp>

namespace omnibal::trainer {

struct launched_process {
  std::size_t rank = 0;
  std::size_t ranks = 1;
  std::size_t local_rank = 0;          ///< On its machine: the number of its GPU.
  std::filesystem::path id_file = {};  ///< In a folder that all processes see.
};

/// The name of the variable with launched_process::id_file.
inline constexpr const char* id_file_variable = "OMNIBAL_ID_FILE";

/// Reads the variables by `variable(name)`, null where there is none. No value without RANK: nobody
/// has launched this process as one of several. Throws invalid_input naming the variable that is
/// missing, no number or out of range.
[[nodiscard]] std::optional<launched_process> launched_process_of(
    const std::function<const char*(const char*)>& variable);

/// Throws invalid_input unless ranks of this machine have a GPU each: NCCL refuses two ranks on
/// one.
void require_gpus(std::size_t gpus, std::size_t ranks);

// ---- implementation ----------------------------------------------------------------------------

namespace detail {

[[nodiscard]] inline std::string variable_text(
    const std::function<const char*(const char*)>& variable, const char* name, const char* use) {
  const char* const text = variable(name);
  if (text == nullptr || *text == '\0')
    throw invalid_input(name, "not set", std::string("must be ") + use + ", since RANK is set");
  return text;
}

[[nodiscard]] inline std::size_t variable_number(
    const std::function<const char*(const char*)>& variable, const char* name, const char* use) {
  const std::string text = variable_text(variable, name, use);
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size())
    throw invalid_input(name, text, std::string("must be ") + use);
  return number;
}

}  // namespace detail

inline std::optional<launched_process> launched_process_of(
    const std::function<const char*(const char*)>& variable) {
  if (variable("RANK") == nullptr) return std::nullopt;
  launched_process made;
  made.rank = detail::variable_number(variable, "RANK", "the number of this process");
  made.ranks = detail::variable_number(variable, "WORLD_SIZE", "the number of all processes");
  made.local_rank =
      detail::variable_number(variable, "LOCAL_RANK", "the number of this process on its machine");
  made.id_file = detail::variable_text(variable, id_file_variable,
                                       "a file of this run alone, in a folder that all "
                                       "processes see");
  if (made.rank >= made.ranks)
    throw invalid_input("RANK", made.rank,
                        "must be less than WORLD_SIZE, " + std::to_string(made.ranks));
  return made;
}

inline void require_gpus(std::size_t gpus, std::size_t ranks) {
  if (gpus < ranks)
    throw invalid_input("GPUs", gpus,
                        "must be at least the ranks of this machine, " + std::to_string(ranks) +
                            ": with --ranks nccl each has a GPU of its own");
}

}  // namespace omnibal::trainer
