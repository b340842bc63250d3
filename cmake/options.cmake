# SPDX-License-Identifier: Apache-2.0
# What can be switched on and off. A project that includes this one gets the library alone.

option(OMNIBAL_BUILD_TESTS "Build the tests of Omnibal" ${PROJECT_IS_TOP_LEVEL})
option(OMNIBAL_BUILD_BENCH "Build the benchmarks of Omnibal" ${PROJECT_IS_TOP_LEVEL})
option(OMNIBAL_BUILD_EXAMPLES "Build the examples and the command omnibal" ${PROJECT_IS_TOP_LEVEL})
option(OMNIBAL_FETCH_DEPENDENCIES
       "Fetch what tests, benchmarks and examples need where it is not installed" OFF)
option(OMNIBAL_INSTALL "Install Omnibal with the project" ${PROJECT_IS_TOP_LEVEL})
option(OMNIBAL_WARNINGS_AS_ERRORS "A warning in tests, benchmarks or examples is an error" OFF)
option(OMNIBAL_TEST_FRAME
       "With the tests: also those of the frame itself (headers alone, structure, package)" ON)
mark_as_advanced(OMNIBAL_TEST_FRAME)
option(OMNIBAL_TEST_SHARED
       "With the tests: also those with material beside the checkout, skipped where there is none" ON)
mark_as_advanced(OMNIBAL_TEST_SHARED)
option(OMNIBAL_FUZZ "Build the fuzz targets among the tests (clang++ only; preset asan)" OFF)
mark_as_advanced(OMNIBAL_FUZZ)

# Parts that need something outside: ON makes a missing dependency an error, AUTO leaves the part
# out, OFF does not look.
function(omnibal_option_part part description)
  set(default OFF)
  if(PROJECT_IS_TOP_LEVEL)
    set(default AUTO)
  endif()
  set(OMNIBAL_ENABLE_${part} ${default} CACHE STRING "${description}: AUTO, ON or OFF")
  set_property(CACHE OMNIBAL_ENABLE_${part} PROPERTY STRINGS AUTO ON OFF)
endfunction()

omnibal_option_part(GPU "The target omnibal::gpu, which needs the CUDA toolkit")
omnibal_option_part(NCCL "The target omnibal::nccl, which needs NCCL and the CUDA toolkit")
omnibal_option_part(MPI "The target omnibal::mpi, which needs an MPI library")
