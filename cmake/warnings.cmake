# SPDX-License-Identifier: Apache-2.0
# The warnings under which tests, benchmarks and examples, and with them all headers, are compiled.

add_library(omnibal_warnings INTERFACE)
set(warnings -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow)
if(OMNIBAL_WARNINGS_AS_ERRORS)
  list(APPEND warnings -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # With optimisation GCC 12 sees overlaps in "literal" + std::string that are not there (its bug
  # 105651).
  list(APPEND warnings -Wno-restrict)
endif()
target_compile_options(omnibal_warnings INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${warnings}>")
