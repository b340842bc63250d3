# SPDX-License-Identifier: Apache-2.0
# Tests with material that is no part of the project, in $OMNIBAL_SHARED or else in ../shared beside
# the checkout. All have the label `shared`, and are skipped where it is not there.

add_library(shared_test_checkout INTERFACE)
target_compile_definitions(shared_test_checkout
                           INTERFACE "OMNIBAL_CHECKOUT=\"${PROJECT_SOURCE_DIR}\"")

file(GLOB sources CONFIGURE_DEPENDS "shared/*_test.cpp")
omnibal_add_catch_tests(
  shared
  LABEL shared
  SOURCES ${sources}
  LIBRARIES shared_test_checkout
  # Not by the exit status: Catch2 gives the number of failures, which may be 77 too.
  PROPERTIES SKIP_REGULAR_EXPRESSION "skipped: not all published tables")
if(TARGET omnibal-cli)
  omnibal_add_command_tests(shared shared)
endif()
