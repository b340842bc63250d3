# SPDX-License-Identifier: Apache-2.0
# The library targets: omnibal::omnibal, omnibal::compiled and, where their dependencies are there,
# omnibal::gpu, omnibal::nccl and omnibal::mpi. Nothing here downloads anything.

set(omnibal_include_dir "${PROJECT_SOURCE_DIR}/include")

# All public headers, sorted into the target that carries them.
file(GLOB_RECURSE omnibal_headers CONFIGURE_DEPENDS "${omnibal_include_dir}/omnibal/*.hpp")
file(GLOB_RECURSE omnibal_gpu_headers CONFIGURE_DEPENDS
     "${omnibal_include_dir}/omnibal/gpu/*.hpp" "${omnibal_include_dir}/omnibal/gpu/*.cuh")
file(GLOB omnibal_nccl_headers CONFIGURE_DEPENDS "${omnibal_include_dir}/omnibal/comm/nccl*.hpp"
     "${omnibal_include_dir}/omnibal/comm/detail/nccl*.hpp")
file(GLOB omnibal_mpi_headers CONFIGURE_DEPENDS "${omnibal_include_dir}/omnibal/comm/mpi*.hpp"
     "${omnibal_include_dir}/omnibal/comm/detail/mpi*.hpp")
list(REMOVE_ITEM omnibal_headers ${omnibal_gpu_headers} ${omnibal_nccl_headers}
     ${omnibal_mpi_headers} "")
# What they include at their end, and the units of omnibal::compiled.
file(GLOB_RECURSE omnibal_bodies CONFIGURE_DEPENDS "${omnibal_include_dir}/omnibal/*/impl/*.ipp"
     "${omnibal_include_dir}/omnibal/*/impl/*.cpp")

find_package(Threads REQUIRED)
add_library(omnibal INTERFACE)
add_library(omnibal::omnibal ALIAS omnibal)
target_compile_features(omnibal INTERFACE cxx_std_20)
target_link_libraries(omnibal INTERFACE Threads::Threads)
target_sources(omnibal INTERFACE FILE_SET HEADERS BASE_DIRS "${omnibal_include_dir}" FILES
                                 ${omnibal_headers} ${omnibal_bodies})
set_target_properties(omnibal PROPERTIES EXPORT_NAME omnibal)

include("${CMAKE_CURRENT_LIST_DIR}/compiled.cmake")
omnibal_add_compiled("${omnibal_include_dir}")

set(OMNIBAL_COMPONENTS "")

# Defines OMNIBAL_<PART> as whether the part is wanted and everything in `needs` was found.
function(omnibal_decide part advice)
  set(missing "")
  foreach(name IN LISTS ARGN)
    if(NOT ${name}_FOUND)
      list(APPEND missing ${name})
    endif()
  endforeach()
  set(OMNIBAL_${part} OFF PARENT_SCOPE)
  if(NOT missing)
    set(OMNIBAL_${part} ON PARENT_SCOPE)
  elseif(NOT OMNIBAL_ENABLE_${part} STREQUAL "AUTO")
    list(JOIN missing " and " missing)
    message(FATAL_ERROR "OMNIBAL_ENABLE_${part} is ${OMNIBAL_ENABLE_${part}}, "
                        "but CMake did not find ${missing}. ${advice}")
  endif()
endfunction()

# Adds the target omnibal::<part> over omnibal::omnibal with the headers of the part.
function(omnibal_add_part part)
  add_library(omnibal_${part} INTERFACE)
  add_library(omnibal::${part} ALIAS omnibal_${part})
  target_link_libraries(omnibal_${part} INTERFACE omnibal::omnibal ${ARGN})
  target_sources(omnibal_${part} INTERFACE FILE_SET HEADERS BASE_DIRS "${omnibal_include_dir}"
                                           FILES ${omnibal_${part}_headers})
  set_target_properties(omnibal_${part} PROPERTIES EXPORT_NAME ${part})
  set(OMNIBAL_COMPONENTS ${OMNIBAL_COMPONENTS} ${part} PARENT_SCOPE)
endfunction()

# The oldest toolkit with a Thrust that has tabulate_output_iterator (CCCL 2.7).
set(OMNIBAL_CUDA_VERSION 12.8)
set(OMNIBAL_GPU OFF)
set(OMNIBAL_NCCL OFF)
set(OMNIBAL_MPI OFF)

if(OMNIBAL_ENABLE_GPU OR OMNIBAL_ENABLE_GPU STREQUAL "AUTO"
   OR OMNIBAL_ENABLE_NCCL OR OMNIBAL_ENABLE_NCCL STREQUAL "AUTO")
  find_package(CUDAToolkit ${OMNIBAL_CUDA_VERSION} QUIET)
endif()

if(OMNIBAL_ENABLE_GPU OR OMNIBAL_ENABLE_GPU STREQUAL "AUTO")
  # CCCL (Thrust, CUB, libcu++) comes with the toolkit.
  find_package(CCCL CONFIG QUIET HINTS "${CUDAToolkit_LIBRARY_DIR}/cmake")
  omnibal_decide(
    GPU "Install the CUDA toolkit, ${OMNIBAL_CUDA_VERSION} or newer (package cuda-toolkit of NVIDIA's repository), and \
point CUDAToolkit_ROOT at it."
    CUDAToolkit CCCL)
  if(OMNIBAL_GPU)
    omnibal_add_part(gpu CUDA::cudart CCCL::CCCL)
    # Device code calls constexpr functions of the standard library (std::array, std::span).
    target_compile_options(
      omnibal_gpu INTERFACE "$<$<COMPILE_LANG_AND_ID:CUDA,NVIDIA>:--expt-relaxed-constexpr>")
  endif()
endif()

if(OMNIBAL_ENABLE_NCCL OR OMNIBAL_ENABLE_NCCL STREQUAL "AUTO")
  list(APPEND CMAKE_MODULE_PATH "${PROJECT_SOURCE_DIR}/cmake")
  find_package(NCCL QUIET)
  omnibal_decide(
    NCCL "Install NCCL (packages libnccl2 and libnccl-dev of NVIDIA's repository) beside the CUDA \
toolkit, and point NCCL_ROOT at it."
    CUDAToolkit NCCL)
  if(OMNIBAL_NCCL)
    omnibal_add_part(nccl CUDA::cudart NCCL::NCCL)
  endif()
endif()

if(OMNIBAL_ENABLE_MPI OR OMNIBAL_ENABLE_MPI STREQUAL "AUTO")
  find_package(MPI QUIET COMPONENTS CXX)
  omnibal_decide(MPI "Install an MPI library (Debian: libopenmpi-dev)." MPI)
  if(OMNIBAL_MPI)
    omnibal_add_part(mpi MPI::MPI_CXX)
  endif()
endif()

if(PROJECT_IS_TOP_LEVEL)
  message(STATUS "omnibal ${PROJECT_VERSION}: gpu ${OMNIBAL_GPU}, nccl ${OMNIBAL_NCCL}, "
                 "mpi ${OMNIBAL_MPI}")
endif()
