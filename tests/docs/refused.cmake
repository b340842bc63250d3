# SPDX-License-Identifier: Apache-2.0
# cmake -Dcompiler= -Dinclude= -Doption= -Dsaid= -P refused.cmake: a program that includes everything
# is refused under the option by one #error, which says what to do, and nothing else but the end.

set(unit "${CMAKE_CURRENT_LIST_DIR}/everything.cpp")
execute_process(
  COMMAND "${compiler}" -std=c++20 ${option} -fsyntax-only "-I${include}" "${unit}"
  RESULT_VARIABLE status
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output)
if(status EQUAL 0)
  message(FATAL_ERROR "${option} is accepted")
endif()
string(REGEX MATCHALL "error: [^\n]*" errors "${output}")
list(LENGTH errors count)
list(POP_FRONT errors first last)
if(NOT count EQUAL 2 OR NOT first MATCHES "${said}" OR NOT last MATCHES "stopped_by_the_error_above")
  message(FATAL_ERROR "In place of one error that says '${said}' and the end:\n${output}")
endif()
