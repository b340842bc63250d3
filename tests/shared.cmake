# SPDX-License-Identifier: Apache-2.0
# Tests with material that is no part of the project, in $OMNIBAL_SHARED or else in ../shared beside
# the checkout. All have the label `shared`, and are skipped (exit 77) where it is not there.

add_library(shared_test_main OBJECT EXCLUDE_FROM_ALL shared_main.cpp)
target_include_directories(shared_test_main PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
target_link_libraries(shared_test_main PRIVATE Catch2::Catch2)
target_compile_features(shared_test_main PRIVATE cxx_std_20)

add_library(shared_test_checkout INTERFACE)
target_compile_definitions(shared_test_checkout
                           INTERFACE "OMNIBAL_CHECKOUT=\"${PROJECT_SOURCE_DIR}\"")

file(GLOB sources CONFIGURE_DEPENDS "shared/*_test.cpp")
omnibal_add_catch_tests(
  shared
  LABEL shared
  MAIN shared_test_main
  SOURCES ${sources}
  LIBRARIES shared_test_checkout
  PROPERTIES SKIP_RETURN_CODE 77)
if(TARGET omnibal_cli)
  omnibal_add_command_tests(shared shared)
endif()
