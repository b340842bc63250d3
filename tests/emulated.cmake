# SPDX-License-Identifier: Apache-2.0
# Kernels executed without a GPU, by the emulator of examples/emulator: gpu/*_test.cu as they are, but
# for those that need Thrust, and the tests of the emulator itself. Needs no CUDA toolkit.

if(NOT TARGET omnibal_emulator)
  add_subdirectory("${PROJECT_SOURCE_DIR}/examples/emulator"
                   "${PROJECT_BINARY_DIR}/examples/emulator")
endif()

file(GLOB sources CONFIGURE_DEPENDS "emulator/*_test.cpp")
omnibal_add_catch_tests(emulator LABEL emulated SOURCES ${sources} LIBRARIES omnibal_emulator)

file(GLOB kernel_tests CONFIGURE_DEPENDS "gpu/*_test.cu")
list(FILTER kernel_tests EXCLUDE REGEX "_thrust_test\\.cu$")
set(sources "")
foreach(wrapped_source IN LISTS kernel_tests)
  cmake_path(GET wrapped_source STEM name)
  set(wrap "${CMAKE_CURRENT_BINARY_DIR}/emulated/${name}.cpp")
  configure_file(gpu_host_wrap.cpp.in "${wrap}" @ONLY)
  list(APPEND sources "${wrap}")
endforeach()
omnibal_add_catch_tests(emulated LABEL emulated SOURCES ${sources} LIBRARIES omnibal_emulator)

# The C interface of the device forms, over the emulator.
set(wrapped_source "${PROJECT_SOURCE_DIR}/examples/c/omnibal_c_gpu.cu")
set(wrap "${CMAKE_CURRENT_BINARY_DIR}/emulated/omnibal_c_gpu.cpp")
configure_file(gpu_host_wrap.cpp.in "${wrap}" @ONLY)
add_library(omnibal_c_emulated STATIC EXCLUDE_FROM_ALL "${wrap}")
target_link_libraries(
  omnibal_c_emulated
  PUBLIC omnibal::compiled omnibal_emulator
  PRIVATE omnibal_warnings)
target_link_libraries(emulated_c_device_test PRIVATE omnibal_c_emulated)

# The trainer's layers with a warp of lanes, as on a GPU; products are OpenBLAS's.
if(TARGET omnibal_trainer_parts)
  add_library(omnibal_trainer_emulated STATIC EXCLUDE_FROM_ALL
                                              "${PROJECT_SOURCE_DIR}/examples/trainer/model_stage.cpp")
  target_compile_definitions(
    omnibal_trainer_emulated
    PUBLIC OMNIBAL_TRAINER_CUDA OMNIBAL_TRAINER_EMULATED
           TRAINER_GOLDEN_FILE="${PROJECT_SOURCE_DIR}/examples/trainer/golden/gradients.txt")
  target_include_directories(omnibal_trainer_emulated PUBLIC "${PROJECT_SOURCE_DIR}/examples/trainer")
  target_include_directories(omnibal_trainer_emulated SYSTEM
                             PUBLIC "${OMNIBAL_OPENBLAS_INCLUDE_DIR}")
  target_link_libraries(
    omnibal_trainer_emulated
    PUBLIC omnibal::compiled omnibal_emulator "${OMNIBAL_OPENBLAS_LIBRARY}"
    PRIVATE omnibal_warnings)
  omnibal_add_catch_tests(
    emulated_trainer LABEL emulated SOURCES trainer/attention_test.cpp trainer/golden_test.cpp
                                            trainer/machine_test.cpp trainer/precision_test.cpp
    LIBRARIES omnibal_trainer_emulated)
  add_executable(emulated_layer_values trainer/layer_values.cpp)
  target_link_libraries(emulated_layer_values PRIVATE omnibal_trainer_emulated omnibal_warnings)
  add_dependencies(emulated_trainer_tests emulated_layer_values trainer_layer_values)
  add_test(NAME "emulated_trainer/layers compute what they compute on a CPU"
           COMMAND Python3::Interpreter -B
                   "${CMAKE_CURRENT_SOURCE_DIR}/trainer/machines_agree_test.py"
                   $<TARGET_FILE:trainer_layer_values> $<TARGET_FILE:emulated_layer_values>)
  set_tests_properties("emulated_trainer/layers compute what they compute on a CPU"
                       PROPERTIES LABELS emulated TIMEOUT 600)
endif()

# What the address sanitizer says of kernels that leave their memory, whatever the tests are built with.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_FLAGS -fsanitize=address)
check_cxx_source_compiles("int main() {}" OMNIBAL_HAS_ADDRESS_SANITIZER)
unset(CMAKE_REQUIRED_FLAGS)
if(OMNIBAL_HAS_ADDRESS_SANITIZER AND NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize=thread")
  add_executable(emulator_out_of_bounds emulator/out_of_bounds.cpp)
  target_link_libraries(emulator_out_of_bounds PRIVATE omnibal_emulator omnibal_warnings)
  # The address sanitizer is the one that is tested.
  target_compile_options(emulator_out_of_bounds PRIVATE -fsanitize=address -fno-sanitize=bounds)
  target_link_options(emulator_out_of_bounds PRIVATE -fsanitize=address)
  add_dependencies(emulator_tests emulator_out_of_bounds)
  foreach(memory IN ITEMS device shared local)
    add_test(NAME "emulator/out of bounds: ${memory}" COMMAND emulator_out_of_bounds ${memory})
  endforeach()
  set_tests_properties("emulator/out of bounds: device" PROPERTIES PASS_REGULAR_EXPRESSION
                                                                    "heap-buffer-overflow")
  set_tests_properties("emulator/out of bounds: shared" PROPERTIES PASS_REGULAR_EXPRESSION
                                                                    "global-buffer-overflow")
  set_tests_properties("emulator/out of bounds: local" PROPERTIES PASS_REGULAR_EXPRESSION
                                                                   "stack-buffer-overflow")
  set_tests_properties("emulator/out of bounds: device" "emulator/out of bounds: shared"
                       "emulator/out of bounds: local" PROPERTIES LABELS emulated)
endif()
