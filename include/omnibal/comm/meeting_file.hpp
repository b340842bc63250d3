// SPDX-License-Identifier: Apache-2.0
/// @file
/// How processes that know nothing of each other but the name of a file all get what the first one
/// makes, such as the id of a communicator.
///
///     const std::string id = meet_by_file({.file = "/shared/id", .rank = 1, .ranks = 2}, make_id);
///
/// A file of an earlier run must not be taken for one of this run, and clocks of machines differ.
/// So every other process first puts a ticket with a random number beside the file, and takes only
/// a file that has its number; it then removes the ticket. The first process reads all tickets,
/// writes the file, writes it again where a ticket has changed, and returns when all tickets are
/// gone.
#pragma once

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>

#include <omnibal/config.hpp>

namespace omnibal::inline v0 {

struct file_meeting {
  std::filesystem::path file = {};  ///< In a folder that all processes see.
  std::size_t rank = 0;
  std::size_t ranks = 1;
  std::chrono::milliseconds deadline = std::chrono::minutes(5);
  std::string named = "file";  ///< What errors call the file, such as the variable that names it.
};

/// What make() returns on rank 0, on all ranks; leaves no file. Whatever lies at the file's name,
/// or beside it, of earlier runs does no harm; runs at the same time need files of their own.
/// Blocks. Throws communication_error at the deadline, naming the ranks that did not come, and
/// invalid_input where the folder cannot be written, for a negative deadline, and for a rank that
/// is not among the ranks.
[[nodiscard]] std::string meet_by_file(const file_meeting& meeting,
                                       const std::function<std::string()>& make);

}  // namespace omnibal::inline v0

#if !defined(OMNIBAL_SEPARATE_COMPILATION)
#include <omnibal/comm/impl/meeting_file.ipp>
#endif
