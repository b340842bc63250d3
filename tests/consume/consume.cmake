# SPDX-License-Identifier: Apache-2.0
# Configures, builds and runs one consumer, from nothing.
# cmake -Dproject= -Dbuild= -Doptions=a|b -Dprefix= -Dcheckout= -Dconsumers= -Dgenerator=
#       -Dcompiler= -Dflags= [-Drefusal=REGEX] -P consume.cmake
# With `refusal`, configuring must fail and say what the regular expression describes.

string(REPLACE "|" ";" options "${options}")
file(REMOVE_RECURSE "${build}")
execute_process(
  COMMAND
    ${CMAKE_COMMAND} -S "${consumers}/${project}" -B "${build}" -G "${generator}"
    "-DCMAKE_CXX_COMPILER=${compiler}" "-DCMAKE_CXX_FLAGS=${flags}" "-DCMAKE_PREFIX_PATH=${prefix}"
    -DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF -DFETCHCONTENT_FULLY_DISCONNECTED=ON ${options}
  RESULT_VARIABLE status
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output)

if(DEFINED refusal)
  if(status EQUAL 0)
    message(FATAL_ERROR "This should have been refused:\n${output}")
  endif()
  # CMake breaks lines where it likes.
  string(REGEX REPLACE "[ \n]+" " " line "${output}")
  if(NOT line MATCHES "${refusal}")
    message(FATAL_ERROR "The refusal does not say '${refusal}':\n${output}")
  endif()
  return()
endif()

if(NOT status EQUAL 0)
  message(FATAL_ERROR "Configuring failed:\n${output}")
endif()
execute_process(COMMAND ${CMAKE_COMMAND} --build "${build}" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${build}/consumer" COMMAND_ERROR_IS_FATAL ANY)

# The compiled library is built only for those who link it.
file(GLOB_RECURSE library "${build}/*omnibal_compiled.a")
if(library AND NOT options MATCHES "-Dtarget=compiled")
  message(FATAL_ERROR "The consumer of the headers alone built ${library}")
endif()

# Nothing of ours but the library may have been switched on.
file(STRINGS "${build}/CMakeCache.txt" switched_on
     REGEX "^OMNIBAL_(BUILD_[A-Z]+|INSTALL|ENABLE_[A-Z]+):[A-Z]+=(ON|AUTO|TRUE)")
if(switched_on)
  message(FATAL_ERROR "The consumer got ${switched_on}")
endif()
get_filename_component(ctest "${CMAKE_COMMAND}" DIRECTORY)
execute_process(COMMAND "${ctest}/ctest" -N WORKING_DIRECTORY "${build}" OUTPUT_VARIABLE tests)
if(NOT tests MATCHES "Total Tests: 1\n")
  message(FATAL_ERROR "The consumer has one test of its own, but now:\n${tests}")
endif()
execute_process(COMMAND ${CMAKE_COMMAND} --build "${build}" --target help OUTPUT_VARIABLE targets)
if(targets MATCHES "(omnibal_(cli|warnings)|parallel_tests|headers_(alone|together)|demo)[: ]")
  message(FATAL_ERROR "The consumer got the target ${CMAKE_MATCH_0}")
endif()
