// SPDX-License-Identifier: Apache-2.0
// The command omnibal: plans balanced training of vision-language models.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <sstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <omnibal/core/error.hpp>
#include <omnibal/version.hpp>

#include "commands/commands.hpp"
#include "commands/interruption.hpp"
#include "files/files.hpp"
#include "files/given_files.hpp"
#include "options/nearest.hpp"
#include "options/one_line.hpp"
#include "options/options.hpp"

namespace omnibal::cli {
namespace {

void add_commands(CLI::App& application, command_context& context) {
  add_plan(application, context);
  add_pack(application, context);
  add_generate(application, context);
  add_partition(application, context);
  add_recompute(application, context);
  add_rebalance(application, context);
  add_simulate(application, context);
  add_replay(application, context);
  add_calibrate(application, context);
  add_trace(application, context);
}

void add_common_options(CLI::App& command, command_context& context) {
  add_choice(command, "--format", context.format,
             "Form of the report [text on a terminal, else json]",
             {{"text", report_format::as_text}, {"json", report_format::as_json}});
  command.add_flag("--progress", context.show_progress,
                   "Show progress on standard error even if that is not a terminal");
}

/// " did you mean X?" for a mistyped word.
std::string suggestion(std::string_view word, const std::vector<std::string>& known) {
  const auto meant = nearest(word, known);
  return meant ? ": did you mean " + *meant + "?" : "; see --help";
}

/// The command that these arguments choose. Throws where there is no such command.
const CLI::App& chosen_command(const CLI::App& application, const std::string& name) {
  std::vector<std::string> names;
  for (const CLI::App* command : application.get_subcommands({})) {
    if (command->get_name() == name) return *command;
    names.push_back(command->get_name());
  }
  throw usage_error("unknown command " + name + suggestion(name, names));
}

std::vector<std::string> option_names(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    for (const std::string& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

/// Not a lone dash, and not a negative number.
bool is_option(const std::string& argument) {
  return argument.size() > 1 && argument[0] == '-' && argument != "--" &&
         (argument[1] < '0' || argument[1] > '9');
}

/// Refuses unknown options before anything else is checked: the parser would report the required
/// option that was mistyped as missing.
void refuse_unknown_words(const CLI::App& application, const std::vector<std::string>& arguments) {
  if (arguments.empty()) throw usage_error("no command given; see omnibal --help");
  const bool of_command = !is_option(arguments[0]);
  const auto known =
      option_names(of_command ? chosen_command(application, arguments[0]) : application);
  for (const std::string& argument : arguments) {
    const std::string option = argument.substr(0, argument.find('='));
    if (is_option(argument) && std::find(known.begin(), known.end(), option) == known.end())
      throw usage_error("unknown option " + option + suggestion(option, known));
  }
}

/// An empty value would be taken for an option that is not given.
void refuse_empty_values(const CLI::App& command) {
  for (const CLI::Option* option : command.get_options())
    for (const std::string& value : option->results())
      if (value.empty())
        throw invalid_input(option->get_name(), "nothing", "is empty; leave the option out");
}

/// Parses the arguments and runs what they ask for.
exit_status run(const std::vector<std::string>& arguments, interruption& signals) {
  CLI::App application("Plans balanced training of vision-language models.", "omnibal");
  application.set_version_flag("--version", "omnibal " + std::string(version));
  application.require_subcommand(1);
  application.get_formatter()->column_width(34);
  command_context context{.interrupted = &signals};
  add_commands(application, context);
  for (CLI::App* command : application.get_subcommands({})) add_common_options(*command, context);
  try {
    refuse_unknown_words(application, arguments);
    // CLI11 takes arguments from the back.
    application.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
  } catch (const CLI::Success& asked) {
    std::ostringstream text;
    application.exit(asked, text, text);
    write_standard_output(text.str());
    return exit_status::done;
  }
  refuse_empty_values(*application.get_subcommands().front());
  refuse_shared_files(context.files);
  const exit_status status = context.run();
  return signals.status().value_or(status);
}

exit_status fail(exit_status status, std::string_view message) {
  constexpr std::size_t most_characters = 400;
  std::fprintf(stderr, "omnibal: %s\n", shortened(one_line(message), most_characters).c_str());
  return status;
}

/// The message with its value cut, so that a long one does not hide what is right.
std::string message_of(const invalid_input& error) {
  constexpr std::size_t most_characters = 80;
  const std::string message = error.what();
  const std::size_t value = message.find(" = " + error.value() + ": ");
  if (value == std::string::npos) return message;
  return message.substr(0, value + 3) + shortened(error.value(), most_characters) +
         message.substr(value + 3 + error.value().size());
}

bool is_refused_thread(const std::exception& error) {
  const auto* const refused = dynamic_cast<const std::system_error*>(&error);
  return refused != nullptr && refused->code() == std::errc::resource_unavailable_try_again;
}

/// Ends without memory for a message by std::terminate, like whatever else finds none.
exit_status run_and_report(int argc, char** argv) noexcept {
  try {
    const std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
    interruption signals;
    return run(arguments, signals);
  } catch (const CLI::ParseError& error) {
    return fail(exit_status::bad_input, error.what());
  } catch (const usage_error& error) {
    return fail(exit_status::bad_input, error.what());
  } catch (const invalid_input& error) {
    return fail(exit_status::bad_input, message_of(error));
  } catch (const unwritable_output& error) {
    return fail(exit_status::unwritable, error.what());
  } catch (const out_of_memory& error) {
    return fail(exit_status::out_of_memory, error.what());
  } catch (const std::bad_alloc&) {
    return fail(exit_status::out_of_memory, "out of memory");
  } catch (const std::exception& error) {
    if (is_refused_thread(error))
      return fail(exit_status::out_of_memory, "out of memory: the system grants no thread");
    return fail(exit_status::internal_error,
                std::string("internal error, please report it: ") + error.what());
  }
}

/// Destructors of JSON values take memory: where there is none, the exception meets another one.
[[noreturn]] void end_without_memory() noexcept {
  try {
    if (const std::exception_ptr thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::bad_alloc&) {
    std::fputs("omnibal: out of memory\n", stderr);
    abandon_outputs(static_cast<int>(exit_status::out_of_memory));
  } catch (...) {  // Uncaught by anything else: aborts, as without this function.
  }
  std::abort();
}

}  // namespace
}  // namespace omnibal::cli

int main(int argc, char** argv) {
  // A closed pipe, and a file at the limit of its size, are outputs that cannot be written.
  for (const int number : {SIGPIPE, SIGXFSZ}) std::signal(number, SIG_IGN);
  std::set_terminate(omnibal::cli::end_without_memory);
  return static_cast<int>(omnibal::cli::run_and_report(argc, argv));
}
