# SPDX-License-Identifier: Apache-2.0
# Tests of the command `omnibal`: cli/*_test.cpp are Catch2 cases over its parts; each cli/*_test.py
# is run with the path of the command.

set(OMNIBAL_COMMAND "" CACHE FILEPATH "A command omnibal built elsewhere, to test in place of ours")
mark_as_advanced(OMNIBAL_COMMAND)
if(OMNIBAL_COMMAND)
  # It takes the place of ours, whose parts are not compiled, nor the tests over them.
  get_target_property(directory omnibal-cli BINARY_DIR)
  configure_file("${OMNIBAL_COMMAND}" "${directory}/omnibal" COPYONLY)
  set_target_properties(omnibal-cli omnibal_cli_parts omnibal_cli_base omnibal_cli_tables
                        PROPERTIES EXCLUDE_FROM_ALL ON)
else()
  file(GLOB sources CONFIGURE_DEPENDS "cli/*_test.cpp")
  omnibal_add_catch_tests(cli LABEL serial SOURCES ${sources} LIBRARIES omnibal_cli_base)
endif()

# Runs each <module>/*_test.py with the path of the command.
function(omnibal_add_command_tests module label)
  file(GLOB scripts CONFIGURE_DEPENDS "${module}/*_test.py")
  foreach(script IN LISTS scripts)
    if(NOT Python3_FOUND)
      message(FATAL_ERROR "${script} needs Python 3 (Debian: python3)")
    endif()
    cmake_path(GET script STEM name)
    add_test(NAME "${module}: ${name}"
             COMMAND Python3::Interpreter -B "${script}" $<TARGET_FILE:omnibal-cli>)
    set_tests_properties("${module}: ${name}" PROPERTIES LABELS ${label} TIMEOUT 600
                                                       SKIP_RETURN_CODE 77)
  endforeach()
endfunction()
omnibal_add_command_tests(cli serial)

# Files that are nearly right, for a moment; tests/fuzz/mutate_files.py runs longer by itself.
add_test(NAME "cli: mutate_files"
         COMMAND Python3::Interpreter -B "${CMAKE_CURRENT_SOURCE_DIR}/fuzz/mutate_files.py"
                 $<TARGET_FILE:omnibal-cli> --seconds 4)
set_tests_properties("cli: mutate_files" PROPERTIES LABELS serial TIMEOUT 600)
