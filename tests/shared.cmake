# SPDX-License-Identifier: Apache-2.0
# Tests with material that is no part of the project, in $OMNIBAL_SHARED or else in ../shared beside
# the checkout. All have the label `shared`, and are skipped (exit 77) where it is not there.

file(GLOB sources CONFIGURE_DEPENDS "shared/*_test.cpp")
omnibal_add_catch_executable(shared_test shared LABEL shared SOURCES shared_main.cpp ${sources}
                             PROPERTIES SKIP_RETURN_CODE 77)
target_compile_definitions(shared_test PRIVATE "OMNIBAL_CHECKOUT=\"${PROJECT_SOURCE_DIR}\"")
if(TARGET omnibal_cli)
  omnibal_add_command_tests(shared shared)
endif()
