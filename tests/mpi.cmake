# SPDX-License-Identifier: Apache-2.0
# Every comm/mpi/*_test.cpp and trainer/mpi/*_test.cpp is a program of its own, run by two and by four
# processes. A file without a main holds Catch2 cases and gets the one below.

file(GLOB mpi_tests CONFIGURE_DEPENDS "comm/mpi/*_test.cpp" "trainer/mpi/*_test.cpp")
set(mpi_environment OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
                    OMPI_MCA_rmaps_base_oversubscribe=1)

add_library(mpi_test_main OBJECT EXCLUDE_FROM_ALL mpi_main.cpp)
target_include_directories(mpi_test_main PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
target_link_libraries(mpi_test_main PRIVATE MPI::MPI_CXX Catch2::Catch2)
target_compile_features(mpi_test_main PRIVATE cxx_std_20)

foreach(source IN LISTS mpi_tests)
  cmake_path(GET source STEM name)
  add_executable(mpi_${name} "${source}")
  target_include_directories(mpi_${name} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}"
                                                 "${PROJECT_SOURCE_DIR}/examples/trainer")
  target_link_libraries(mpi_${name} PRIVATE omnibal::mpi omnibal_warnings Catch2::Catch2)
  file(STRINGS "${source}" own_main REGEX "^int main\\(")
  if(NOT own_main)
    target_link_libraries(mpi_${name} PRIVATE mpi_test_main)
  endif()
  foreach(processes IN ITEMS 2 4)
    string(REGEX REPLACE "^.*/([^/]+/mpi)/[^/]+$" "\\1" folder "${source}")
    set(test "${folder}: ${name}, ${processes} processes")
    add_test(NAME "${test}" COMMAND ${MPIEXEC_EXECUTABLE} ${MPIEXEC_NUMPROC_FLAG} ${processes}
                                    $<TARGET_FILE:mpi_${name}>)
    set_tests_properties("${test}" PROPERTIES ENVIRONMENT "${mpi_environment}" LABELS mpi
                                              PROCESSORS ${processes} TIMEOUT 900)
  endforeach()
endforeach()

if(Python3_FOUND)
  add_test(NAME "comm/mpi: mpi_killed_test"
           COMMAND Python3::Interpreter -B "${CMAKE_CURRENT_SOURCE_DIR}/comm/mpi/mpi_killed_test.py"
                   ${MPIEXEC_EXECUTABLE} $<TARGET_FILE:mpi_mpi_faults_test>)
  set_tests_properties(
    "comm/mpi: mpi_killed_test" PROPERTIES ENVIRONMENT "${mpi_environment}" LABELS mpi PROCESSORS 4
                                           TIMEOUT 900 SKIP_RETURN_CODE 77)
endif()
