# SPDX-License-Identifier: Apache-2.0
# cmake -Dcheckout= -Dbuild= -Dgenerator= -P missing_packages.cmake: configures as if nothing that the
# tests need were installed. The answer is what to install, and comes before any download.

file(REMOVE_RECURSE "${build}")
set(hidden "")
foreach(name IN ITEMS Catch2 nlohmann_json CLI11 simdjson fmt OpenSSL Python3)
  list(APPEND hidden "-DCMAKE_DISABLE_FIND_PACKAGE_${name}=ON")
endforeach()
execute_process(
  COMMAND
    ${CMAKE_COMMAND} -S "${checkout}" -B "${build}" -G "${generator}" -DOMNIBAL_BUILD_BENCH=OFF
    -DOMNIBAL_ENABLE_GPU=OFF -DOMNIBAL_ENABLE_NCCL=OFF -DOMNIBAL_ENABLE_MPI=OFF ${hidden}
  RESULT_VARIABLE status
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output)
if(status EQUAL 0)
  message(FATAL_ERROR "This should have been refused:\n${output}")
endif()
# CMake breaks lines where it likes.
string(REGEX REPLACE "[ \n]+" " " line "${output}")
set(install "apt-get install nlohmann-json3-dev libcli11-dev libsimdjson-dev libfmt-dev libssl-dev catch2 python3 ")
if(NOT line MATCHES "${install}")
  message(FATAL_ERROR "The refusal does not say '${install}':\n${output}")
endif()
if(EXISTS "${build}/_deps")
  message(FATAL_ERROR "Something was fetched unasked.")
endif()
