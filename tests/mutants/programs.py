# SPDX-License-Identifier: Apache-2.0
"""Faults put into the command and the trainer on purpose. Form and rules are those of catalogue.py, except
that files are below examples/, and that the program with the fault in it is built in a copy of the checkout.

A test is that of a class of tests/cli/<name>_test.py ("Files.test_…"), a case of tests/*/<name>_test.cpp, or
a fault of the table that tests/soak/soak.py prints.
"""
from catalogue import Mutant

FILES = "cli/files/files.cpp"
GIVEN = "cli/files/given_files.cpp"
CHECKPOINT = "trainer/checkpoint.hpp"
SOAK = "soak/soak"

PROGRAMS = {
    "outputs are never inputs": [
        Mutant("outputs not compared with other files", GIVEN, "if (identity == other.identity)",
               "if (false && identity == other.identity)", "cli/bad_day",
               "Files.test_an_output_is_never_an_input_under_any_name"),
        Mutant("standard output not compared", GIVEN, "if (!files.take_standard_output())", "if (false)", "cli/bad_day",
               "Files.test_outputs_are_never_one_file"),
        Mutant("missing outputs not compared", GIVEN, "target.filename().string()};", "path};", "cli/bad_day",
               "Files.test_outputs_are_never_one_file"),
    ],
    "outputs appear whole or not at all": [
        Mutant("renamed before it is on disk", FILES,
               "    if (::fsync(file_.get()) != 0) return errno;\n    if (const int error = file_.close()) return error;\n"
               "    if (::rename(path_.c_str(), target.c_str()) != 0) return errno;\n    renamed_ = true;\n",
               "    if (::rename(path_.c_str(), target.c_str()) != 0) return errno;\n    renamed_ = true;\n"
               "    if (::fsync(file_.get()) != 0) return errno;\n    if (const int error = file_.close()) return error;\n",
               SOAK, "command: fsync fails"),
        Mutant("a short write taken for a whole one", FILES,
               "    bytes.remove_prefix(static_cast<std::size_t>(written));", "    bytes = {};", SOAK,
               "command: short write"),
        Mutant("an interrupted write taken for an error", FILES,
               "    if (written < 0 && errno == EINTR) continue;", "", SOAK, "command: interrupted write"),
        Mutant("a short read taken for the end", FILES, "    if (got == 0) break;",
               "    if (got == 0 || done > 0) break;", SOAK, "command: short read"),
        Mutant("errors of writing ignored", FILES, "    if (written < 0) return errno;",
               "    if (written < 0) return 0;", SOAK, "command: write fails"),
        Mutant("temporary files of one name", FILES, "std::to_string(random())", "std::to_string(random() / random.max())",
               SOAK, "command: killed before rename"),
        Mutant("temporary files kept after errors", FILES, "    if (!renamed_) ::unlink(path_.c_str());", "", SOAK,
               "command: rename fails"),
        Mutant("a limit of file sizes ends the process", "cli/main.cpp", "{SIGPIPE, SIGXFSZ}", "{SIGPIPE}", "cli/frame",
               "Outputs.test_file_that_does_not_fit_leaves_the_old_one_whole"),
    ],
    "replaced files keep what they were": [
        Mutant("permissions not kept", FILES, "return ::fchmod(file, old.st_mode & 07777) == 0 ? 0 : errno;", "return 0;",
               "cli/files", "A replaced file keeps its permissions, a symbolic link its target"),
        Mutant("links replaced", FILES, "replace_file(final_path(path), bytes)", "replace_file(path, bytes)", "cli/files",
               "A replaced file keeps its permissions, a symbolic link its target"),
    ],
    "devices are written directly": [
        Mutant("devices renamed over", FILES,
               "      std::filesystem::exists(path, unknown) && !std::filesystem::is_regular_file(path, unknown);",
               "      false && !std::filesystem::is_regular_file(path, unknown);", "cli/bad_day",
               "Files.test_devices_and_pipes_are_written_directly_and_as_often_as_wanted"),
    ],
    "a dash is a standard stream": [
        Mutant("two of one stream accepted", GIVEN, "  if (second != files.end())", "  if (false && second != files.end())",
               "cli/bad_day", "Files.test_a_dash_is_standard_input_and_output"),
    ],
    "empty values are errors": [
        Mutant("empty values accepted", "cli/main.cpp", "if (value.empty())", "if (false)", "cli/bad_day",
               "Files.test_empty_values_and_no_memory_are_refused"),
    ],
    "signals lose nothing": [
        Mutant("status of a signal forgotten", "cli/main.cpp", "signals.status().value_or(status)", "status", "cli/bad_day",
               "Signals.test_a_search_prints_and_writes_what_it_has"),
        Mutant("searches not asked to stop", "cli/commands/interruption.cpp", "    stop_.request_stop();", "", "cli/bad_day",
               "Signals.test_a_search_prints_and_writes_what_it_has"),
        Mutant("temporary files kept after a signal", FILES,
               "    for (const std::string& name : names_) ::unlink(name.c_str());", "", SOAK,
               "command: SIGTERM before rename"),
        Mutant("nohup overridden", "cli/commands/interruption.cpp", "action.sa_handler != SIG_IGN", "true", "cli/bad_day",
               "Signals.test_nohup_is_respected"),
    ],
    "time limits are kept": [
        Mutant("time limit four times as long", "cli/commands/deadline.hpp", "std::min(*seconds, 3.2e9)",
               "std::min(4 * *seconds + 2, 3.2e9)", "cli/bad_day",
               "Limits.test_hard_stages_under_every_objective"),
    ],
    "sizes are limited": [
        Mutant("nesting without a limit", "cli/files/json.cpp", "if (open_.size() > deepest)", "if (false && open_.size() > deepest)",
               "cli/files", "JSON nested too deeply is refused while it is read"),
        Mutant("timelines without a limit", "cli/commands/simulate.cpp", "std::uint64_t{1} << 19", "std::uint64_t{1} << 22",
               "cli/bad_day",
               "Limits.test_long_timelines_are_refused_by_their_limit_and_many_devices_take_linear_time"),
    ],
    "out of memory is status 71": [
        Mutant("out of memory is an internal error", "cli/main.cpp",
               'return fail(exit_status::out_of_memory, "out of memory");',
               'return fail(exit_status::internal_error, "out of memory");', SOAK, "command: an allocation fails"),
        Mutant("no memory for the message", "cli/main.cpp", "  std::set_terminate(omnibal::cli::end_without_memory);\n", "",
               SOAK, "command: allocations fail from one on"),
    ],
    "names and messages are one line of text": [
        Mutant("control characters in messages", "cli/main.cpp", "shortened(one_line(message), most_characters)",
               "shortened(message, most_characters)", "cli/frame", "Words.test_names_of_files_cannot_break_the_line"),
    ],
    "checkpoints of the trainer are whole": [
        Mutant("hash of a layer not compared", CHECKPOINT, "if (!file || detail::hash_of(state) != header.hash)",
               "if (!file)", "trainer/checkpoint", "missing and damaged files are named"),
        Mutant("memory for a damaged size", CHECKPOINT, "header.parameters > size || ", "", "trainer/checkpoint",
               "missing and damaged files are named"),
        Mutant("moments not saved", CHECKPOINT,
               "for (const auto* floats : {&state.values, &state.first_moments, &state.second_moments})\n      detail",
               "for (const auto* floats : {&state.values, &state.values, &state.values})\n      detail",
               "trainer/checkpoint", "what is saved is read again, to the bit"),
        Mutant("half a checkpoint taken for a whole one", CHECKPOINT,
               "if (error != std::errc() || rest != end) return std::nullopt;\n  return steps;",
               "if (error != std::errc()) return std::nullopt;\n  return steps;", "trainer/checkpoint",
               "what was written by half is not a checkpoint, and the next one removes it"),
        Mutant("leftovers of a killed process kept", CHECKPOINT,
               "    for (const std::filesystem::path& left : detail::half_written(runs))\n"
               "      std::filesystem::remove_all(left);\n", "",
               "trainer/checkpoint", "what was written by half is not a checkpoint, and the next one removes it"),
        Mutant("only one checkpoint stays", CHECKPOINT, "i + 2 < all.size()", "i + 1 < all.size()", "trainer/checkpoint",
               "the newest two checkpoints stay, and the same step may be saved again"),
        Mutant("errors of writing a layer ignored", CHECKPOINT,
               '    if (!file.flush()) throw checkpoint_error(path, "cannot be written");\n  }\n  detail::flush_to_disk(path);\n}\n',
               "  }\n}\n", "trainer/checkpoint", "a folder that cannot be made is named"),
    ],
}
