# SPDX-License-Identifier: Apache-2.0
# cmake -Dbuild= -Dprefix= -P install.cmake: installs into an empty prefix. What an installation
# leaves out must not be there from an earlier one.

file(REMOVE_RECURSE "${prefix}")
execute_process(COMMAND ${CMAKE_COMMAND} --install "${build}" --prefix "${prefix}"
                COMMAND_ERROR_IS_FATAL ANY OUTPUT_QUIET)
file(GLOB_RECURSE installed RELATIVE "${prefix}" "${prefix}/*")
foreach(file IN LISTS installed)
  if(NOT file MATCHES "^((include|share/cmake|share/doc)/omnibal/|bin/omnibal$|lib[^/]*/(.+/)?libomnibal_c(_gpu)?\\.(so|dylib))")
    message(FATAL_ERROR "installed where it does not belong: ${file}")
  endif()
endforeach()
