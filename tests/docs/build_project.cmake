# SPDX-License-Identifier: Apache-2.0
# cmake -Dcheckout= -Dbuild= -Dgenerator= -Dcompiler= -P build_project.cmake: makes the project that
# README.md describes, with the checkout in its folder and README's example as its source; builds it,
# warnings being errors, and runs it.

set(project "${build}/trainer")
file(REMOVE_RECURSE "${build}")
file(COPY "${checkout}/examples/snippets/readme_project/CMakeLists.txt" DESTINATION "${project}")
configure_file("${checkout}/examples/snippets/readme.cpp" "${project}/trainer.cpp" COPYONLY)
file(CREATE_LINK "${checkout}" "${project}/omnibal" SYMBOLIC)

execute_process(
  COMMAND ${CMAKE_COMMAND} -S "${project}" -B "${build}/build" -G "${generator}"
          "-DCMAKE_CXX_COMPILER=${compiler}" "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Wconversion -Wshadow -Werror"
  OUTPUT_QUIET COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${CMAKE_COMMAND} --build "${build}/build" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${build}/build/trainer" OUTPUT_VARIABLE printed COMMAND_ERROR_IS_FATAL ANY)
if(NOT printed MATCHES "^250 packs; proven lower bound 250\n")
  message(FATAL_ERROR "The example prints:\n${printed}")
endif()
