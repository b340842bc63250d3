# SPDX-License-Identifier: Apache-2.0
# cmake -Dcompiler= -Dsource= -Dinclude= -P expect_failure.cmake

set(command "${compiler}" -std=c++20 -fsyntax-only "-I${include}" "${source}")

execute_process(COMMAND ${command} RESULT_VARIABLE status OUTPUT_VARIABLE output
                ERROR_VARIABLE output)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "The right use does not compile:\n${output}")
endif()

file(STRINGS "${source}" expected REGEX "^// expect: ")
string(REPLACE "// expect: " "" expected "${expected}")
if(expected STREQUAL "")
  message(FATAL_ERROR "${source} has no line '// expect: <regular expression>'")
endif()
execute_process(COMMAND ${command} -DOMNIBAL_MISTAKE RESULT_VARIABLE status OUTPUT_VARIABLE output
                ERROR_VARIABLE output)
if(status EQUAL 0)
  message(FATAL_ERROR "The mistake compiles.")
elseif(NOT output MATCHES "${expected}")
  message(FATAL_ERROR "The compiler does not say '${expected}' but:\n${output}")
endif()
