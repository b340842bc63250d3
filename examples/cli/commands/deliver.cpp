// SPDX-License-Identifier: Apache-2.0
#include "commands/deliver.hpp"

#include <unistd.h>

namespace omnibal::cli {

bool prefers_text(const command_context& context) {
  const int where = context.files.take_standard_output() ? STDERR_FILENO : STDOUT_FILENO;
  const bool terminal = ::isatty(where) == 1;
  return context.format.value_or(terminal ? report_format::as_text : report_format::as_json) ==
         report_format::as_text;
}

}  // namespace omnibal::cli
