# SPDX-License-Identifier: Apache-2.0
# Tests that need a GPU to run: programs of their own, skipped (exit 77) where there is none.
#
# gpu/*_test.cu and comm/nccl/*_test.cu, *_test.cpp. A file without a main holds Catch2 cases and
# gets gpu_main.cpp. A gpu/*_thrust_test.cu holds only code that also runs on the host: it is
# compiled again by the host compiler against the toolkit's headers, with Thrust's sequential back
# end as the device and, where there is OpenMP, with that one; those programs run everywhere.

# Everything of the tests that needs the CUDA toolkit to build.
add_custom_target(gpu_tests)

# Gives a test program its include directory and, if it has none of its own, a main.
function(omnibal_finish_gpu_test target source main)
  target_include_directories(${target} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(${target} PRIVATE omnibal_warnings Catch2::Catch2)
  file(STRINGS "${source}" own_main REGEX "^int main\\(")
  if(NOT own_main)
    target_link_libraries(${target} PRIVATE ${main})
  endif()
  add_dependencies(gpu_tests ${target})
endfunction()

function(omnibal_add_gpu_test name source)
  add_executable(${name} "${source}")
  target_link_libraries(${name} PRIVATE ${ARGN})
  omnibal_finish_gpu_test(${name} "${source}" gpu_test_main)
  add_test(NAME "gpu: ${name}" COMMAND ${name})
  set_tests_properties("gpu: ${name}" PROPERTIES SKIP_RETURN_CODE 77 LABELS gpu TIMEOUT 600
                                                 RESOURCE_LOCK gpu)
endfunction()

# The functions of a gpu/*_thrust_test.cu on the host, with the sequential back end of Thrust or OpenMP's.
function(omnibal_add_host_thrust_test target source wrap system)
  add_executable(${target} "${wrap}")
  target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/gpu")
  target_link_libraries(${target} PRIVATE omnibal::omnibal CCCL::libcudacxx CCCL::CUB CUDA::cudart)
  target_compile_definitions(
    ${target} PRIVATE THRUST_HOST_SYSTEM=THRUST_HOST_SYSTEM_CPP
                      THRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_${system})
  omnibal_finish_gpu_test(${target} "${source}" Catch2::Catch2WithMain)
  add_test(NAME "gpu host: ${target}" COMMAND ${target})
  set_tests_properties("gpu host: ${target}" PROPERTIES LABELS serial TIMEOUT 600)
endfunction()

add_library(gpu_test_main OBJECT EXCLUDE_FROM_ALL gpu_main.cpp)
target_include_directories(gpu_test_main PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
target_link_libraries(gpu_test_main PRIVATE CUDA::cudart Catch2::Catch2)
target_compile_features(gpu_test_main PRIVATE cxx_std_20)

if(OMNIBAL_GPU)
  find_package(OpenMP QUIET COMPONENTS CXX)
  file(GLOB gpu_tests CONFIGURE_DEPENDS "gpu/*_test.cu")
  foreach(source IN LISTS gpu_tests)
    cmake_path(GET source STEM name)
    omnibal_add_gpu_test(gpu_${name} "${source}" omnibal::gpu)
    if(name MATCHES "_thrust_test$")
      set(wrapped_source "${source}")
      set(wrap "${CMAKE_CURRENT_BINARY_DIR}/gpu_host_${name}.cpp")
      configure_file(gpu_host_wrap.cpp.in "${wrap}" @ONLY)
      omnibal_add_host_thrust_test(gpu_host_${name} "${source}" "${wrap}" CPP)
      if(OpenMP_CXX_FOUND)
        omnibal_add_host_thrust_test(gpu_omp_${name} "${source}" "${wrap}" OMP)
        target_link_libraries(gpu_omp_${name} PRIVATE OpenMP::OpenMP_CXX)
      endif()
    endif()
  endforeach()

  # Cases of consumers through Thrust, by the functors: on the host, and on a GPU.
  function(omnibal_add_thrust_answers system source)
    set(target thrust_answers_${system})
    add_executable(${target} EXCLUDE_FROM_ALL "${source}")
    target_include_directories(${target} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}"
                                                 "${CMAKE_CURRENT_SOURCE_DIR}/indices")
    target_link_libraries(${target} PRIVATE omnibal_indices_parts omnibal_warnings ${ARGN})
    add_dependencies(gpu_tests ${target})
    file(GLOB small_cases CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/indices/cases/*.json")
    set(check Python3::Interpreter -B "${CMAKE_CURRENT_SOURCE_DIR}/indices/check_cases.py"
              $<TARGET_FILE:${target}>)
    add_test(NAME "gpu host: cases by ${target}" COMMAND ${check} ${small_cases})
    set(tests "gpu host: cases by ${target}")
    if(OMNIBAL_TEST_SHARED)
      add_test(NAME "gpu host: cases of consumers by ${target}" COMMAND ${check})
      list(APPEND tests "gpu host: cases of consumers by ${target}")
    endif()
    set_tests_properties(${tests} PROPERTIES LABELS serial TIMEOUT 600 SKIP_RETURN_CODE 77)
  endfunction()
  if(TARGET omnibal_indices_parts AND Python3_FOUND)
    set(wrapped_source "${CMAKE_CURRENT_SOURCE_DIR}/indices/thrust_answers.cu")
    set(wrap "${CMAKE_CURRENT_BINARY_DIR}/thrust_answers.cpp")
    configure_file(gpu_host_wrap.cpp.in "${wrap}" @ONLY)
    set(on_host CCCL::libcudacxx CCCL::CUB CUDA::cudart)
    omnibal_add_thrust_answers(cpp "${wrap}" ${on_host})
    target_compile_definitions(
      thrust_answers_cpp PRIVATE THRUST_HOST_SYSTEM=THRUST_HOST_SYSTEM_CPP
                                 THRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_CPP)
    if(OpenMP_CXX_FOUND)
      omnibal_add_thrust_answers(omp "${wrap}" ${on_host} OpenMP::OpenMP_CXX)
      target_compile_definitions(
        thrust_answers_omp PRIVATE THRUST_HOST_SYSTEM=THRUST_HOST_SYSTEM_CPP
                                   THRUST_DEVICE_SYSTEM=THRUST_DEVICE_SYSTEM_OMP)
    endif()
    omnibal_add_thrust_answers(cuda "${wrapped_source}" omnibal::gpu)
  endif()

  # The C interface of the device forms.
  add_library(omnibal_c_device STATIC EXCLUDE_FROM_ALL
                                      "${PROJECT_SOURCE_DIR}/examples/c/omnibal_c_gpu.cu")
  target_link_libraries(omnibal_c_device PUBLIC omnibal::gpu PRIVATE omnibal_warnings)
  target_link_libraries(gpu_c_device_test PRIVATE omnibal_c_device)
endif()

if(TARGET omnibal_trainer_cuda)
  # The tests of the trainer, compiled for a GPU: its layers, then plans on ranks that are threads.
  foreach(name IN ITEMS attention_test golden_test machine_test precision_test engine_test
                        planned_model_test profile_test training_test)
    set(wrapped_source "${CMAKE_CURRENT_SOURCE_DIR}/trainer/${name}.cpp")
    set(wrap "${CMAKE_CURRENT_BINARY_DIR}/gpu_trainer_${name}.cu")
    configure_file("${PROJECT_SOURCE_DIR}/examples/trainer/machine/cuda_wrap.cu.in" "${wrap}" @ONLY)
    omnibal_add_gpu_test(gpu_trainer_${name} "${wrap}" omnibal_trainer_cuda)
    target_include_directories(gpu_trainer_${name} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/trainer")
  endforeach()
  add_test(NAME "gpu: omnibal-trainer-cuda"
           COMMAND Python3::Interpreter -B "${CMAKE_CURRENT_SOURCE_DIR}/trainer/gpu_program_test.py"
                   $<TARGET_FILE:omnibal-trainer-cuda>)
  set_tests_properties("gpu: omnibal-trainer-cuda" PROPERTIES LABELS gpu TIMEOUT 600
                                                              RESOURCE_LOCK gpu)
  if(TARGET omnibal_trainer_cudnn)
    omnibal_add_gpu_test(gpu_trainer_fused_attention_test
                         "${CMAKE_CURRENT_SOURCE_DIR}/trainer/fused_attention_test.cu"
                         omnibal_trainer_cuda)
  endif()
  target_compile_definitions(
    gpu_trainer_golden_test
    PRIVATE TRAINER_GOLDEN_FILE="${PROJECT_SOURCE_DIR}/examples/trainer/golden/gradients.txt")
endif()

if(OMNIBAL_NCCL)
  file(GLOB nccl_tests CONFIGURE_DEPENDS "comm/nccl/*_test.cpp")
  if(OMNIBAL_GPU)
    file(GLOB nccl_device_tests CONFIGURE_DEPENDS "comm/nccl/*_test.cu")
  endif()
  foreach(source IN LISTS nccl_tests nccl_device_tests)
    cmake_path(GET source STEM name)
    omnibal_add_gpu_test(nccl_${name} "${source}" omnibal::nccl)
  endforeach()
endif()
