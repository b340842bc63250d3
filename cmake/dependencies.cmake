# SPDX-License-Identifier: Apache-2.0
# What tests, benchmarks and examples need from outside, installed. With OMNIBAL_FETCH_DEPENDENCIES the
# version that Debian 12 has is fetched where a package is not installed, pinned by its hash. The
# library itself needs none of this.

include(FetchContent)

# The Debian package of each.
set(omnibal_debian_Catch2 catch2)
set(omnibal_debian_benchmark libbenchmark-dev)
set(omnibal_debian_nlohmann_json nlohmann-json3-dev)
set(omnibal_debian_CLI11 libcli11-dev)
set(omnibal_debian_simdjson libsimdjson-dev)
set(omnibal_debian_fmt libfmt-dev)
set(omnibal_debian_OpenSSL libssl-dev)
set(omnibal_debian_Python3 python3)

# Ends with one line that installs all that is missing, before anything is built or fetched.
function(omnibal_require_dependencies)
  set(needed "")
  set(never_fetched OpenSSL Python3)
  if(OMNIBAL_BUILD_EXAMPLES)
    list(APPEND needed nlohmann_json CLI11 simdjson fmt OpenSSL)
  endif()
  if(OMNIBAL_BUILD_TESTS)
    list(APPEND needed Catch2 Python3)
  endif()
  if(OMNIBAL_BUILD_BENCH)
    list(APPEND needed benchmark)
  endif()
  set(missing "")
  foreach(name IN LISTS needed)
    if(OMNIBAL_FETCH_DEPENDENCIES AND NOT name IN_LIST never_fetched)
      continue()
    endif()
    find_package(${name} QUIET)
    if(NOT ${name}_FOUND)
      list(APPEND missing ${omnibal_debian_${name}})
    endif()
  endforeach()
  if(missing)
    list(JOIN missing " " missing)
    message(FATAL_ERROR "Omnibal's tests, benchmarks and examples need packages that are not installed. "
                        "On Debian: apt-get install ${missing}\n"
                        "Without root, -DOMNIBAL_FETCH_DEPENDENCIES=ON fetches all but OpenSSL and "
                        "Python; the library alone needs none of them.")
  endif()
endfunction()
omnibal_require_dependencies()

# omnibal_need(<package> <oldest version> URL <archive> SHA256 <hash> [OPTIONS <name=value>...])
#
# A macro, so that what find_package sets is seen by the caller. The version is the oldest that will
# do: packages refuse newer major versions when asked for one.
macro(omnibal_need name version)
  cmake_parse_arguments(need "" "URL;SHA256" "OPTIONS" ${ARGN})
  find_package(${name} QUIET)
  if(${name}_FOUND AND ${name}_VERSION VERSION_LESS ${version})
    message(FATAL_ERROR "${name} ${${name}_VERSION} in ${${name}_DIR} is too old: Omnibal's tests, "
                        "benchmarks and examples need ${version} or newer "
                        "(Debian: ${omnibal_debian_${name}})")
  elseif(NOT ${name}_FOUND)
    message(STATUS "${name} is not installed; fetching ${need_URL}")
    foreach(option IN LISTS need_OPTIONS)
      string(REPLACE "=" ";" option "${option}")
      list(GET option 0 option_name)
      list(GET option 1 option_value)
      set(${option_name} ${option_value} CACHE INTERNAL "")
    endforeach()
    # There is no such subfolder: only fetched here, and added below so that nothing of it is built
    # unasked or installed.
    FetchContent_Declare(
      ${name}
      URL "${need_URL}"
      URL_HASH SHA256=${need_SHA256}
      SOURCE_SUBDIR added-below)
    FetchContent_MakeAvailable(${name})
    string(TOLOWER "${name}" need_name)
    add_subdirectory("${${need_name}_SOURCE_DIR}" "${${need_name}_BINARY_DIR}" EXCLUDE_FROM_ALL
                     SYSTEM)
  endif()
endmacro()

macro(omnibal_need_catch2)
  omnibal_need(
    Catch2 2.13
    URL https://github.com/catchorg/Catch2/archive/refs/tags/v2.13.10.tar.gz
    SHA256 d54a712b7b1d7708bc7a819a8e6e47b2fde9536f487b89ccbca295072a7d9943
    OPTIONS CATCH_BUILD_STATIC_LIBRARY=ON CATCH_BUILD_TESTING=OFF CATCH_INSTALL_DOCS=OFF
            CATCH_INSTALL_HELPERS=OFF)
  # Where catch_discover_tests is: beside the package, or in the fetched sources.
  list(APPEND CMAKE_MODULE_PATH "${Catch2_DIR}" "${catch2_SOURCE_DIR}/contrib")
endmacro()

macro(omnibal_need_benchmark)
  omnibal_need(
    benchmark 1.7
    URL https://github.com/google/benchmark/archive/refs/tags/v1.7.1.tar.gz
    SHA256 6430e4092653380d9dc4ccb45a1e2dc9259d581f4866dc0759713126056bc1d7
    OPTIONS BENCHMARK_ENABLE_TESTING=OFF BENCHMARK_ENABLE_INSTALL=OFF BENCHMARK_ENABLE_WERROR=OFF)
endmacro()

macro(omnibal_need_nlohmann_json)
  omnibal_need(
    nlohmann_json 3.11
    URL https://github.com/nlohmann/json/archive/refs/tags/v3.11.2.tar.gz
    SHA256 d69f9deb6a75e2580465c6c4c5111b89c4dc2fa94e3a85fcd2ffcd9a143d9273
    OPTIONS JSON_BuildTests=OFF JSON_Install=OFF)
endmacro()

macro(omnibal_need_cli11)
  omnibal_need(
    CLI11 2.1
    URL https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.1.2.tar.gz
    SHA256 26291377e892ba0e5b4972cdfd4a2ab3bf53af8dac1f4ea8fe0d1376b625c8cb
    OPTIONS CLI11_BUILD_DOCS=OFF CLI11_BUILD_TESTS=OFF CLI11_BUILD_EXAMPLES=OFF CLI11_INSTALL=OFF)
endmacro()

macro(omnibal_need_simdjson)
  omnibal_need(
    simdjson 3.0
    URL https://github.com/simdjson/simdjson/archive/refs/tags/v3.0.1.tar.gz
    SHA256 156b1bc5eb0561b2bd166b46d191fd3d95a3e709cc63761477d3b7aec2b6e9ed
    OPTIONS SIMDJSON_DEVELOPER_MODE=OFF)
endmacro()

macro(omnibal_need_fmt)
  omnibal_need(
    fmt 9.1
    URL https://github.com/fmtlib/fmt/archive/refs/tags/9.1.0.tar.gz
    SHA256 5dea48d1fcddc3ec571ce2058e13910a0d4a6bab4cc09a809d8b1dd1c88ae6f2
    OPTIONS FMT_DOC=OFF FMT_INSTALL=OFF FMT_TEST=OFF)
endmacro()

macro(omnibal_need_openssl)
  find_package(OpenSSL 3.0 REQUIRED COMPONENTS Crypto)
endmacro()
