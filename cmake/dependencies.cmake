# SPDX-License-Identifier: Apache-2.0
# What tests, benchmarks and examples need from outside. An installed package comes first; where
# there is none, the same version as Debian 12 has is fetched, pinned by its hash. The library
# itself needs none of this.

include(FetchContent)

# omnibal_need(<package> <oldest version> DEBIAN <package> URL <archive> SHA256 <hash> [OPTIONS <name=value>...])
#
# A macro, so that what find_package sets is seen by the caller. The version is the oldest that will
# do: packages refuse newer major versions when asked for one.
macro(omnibal_need name version)
  cmake_parse_arguments(need "" "DEBIAN;URL;SHA256" "OPTIONS" ${ARGN})
  find_package(${name} QUIET)
  if(${name}_FOUND AND ${name}_VERSION VERSION_LESS ${version})
    message(FATAL_ERROR "${name} ${${name}_VERSION} in ${${name}_DIR} is too old: Omnibal's tests, "
                        "benchmarks and examples need ${version} or newer (Debian: ${need_DEBIAN})")
  elseif(NOT ${name}_FOUND)
    message(STATUS "${name} is not installed (Debian: ${need_DEBIAN}); fetching ${need_URL}")
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
    DEBIAN catch2
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
    DEBIAN libbenchmark-dev
    URL https://github.com/google/benchmark/archive/refs/tags/v1.7.1.tar.gz
    SHA256 6430e4092653380d9dc4ccb45a1e2dc9259d581f4866dc0759713126056bc1d7
    OPTIONS BENCHMARK_ENABLE_TESTING=OFF BENCHMARK_ENABLE_INSTALL=OFF BENCHMARK_ENABLE_WERROR=OFF)
endmacro()

macro(omnibal_need_nlohmann_json)
  omnibal_need(
    nlohmann_json 3.11
    DEBIAN nlohmann-json3-dev
    URL https://github.com/nlohmann/json/archive/refs/tags/v3.11.2.tar.gz
    SHA256 d69f9deb6a75e2580465c6c4c5111b89c4dc2fa94e3a85fcd2ffcd9a143d9273
    OPTIONS JSON_BuildTests=OFF JSON_Install=OFF)
endmacro()

macro(omnibal_need_cli11)
  omnibal_need(
    CLI11 2.1
    DEBIAN libcli11-dev
    URL https://github.com/CLIUtils/CLI11/archive/refs/tags/v2.1.2.tar.gz
    SHA256 26291377e892ba0e5b4972cdfd4a2ab3bf53af8dac1f4ea8fe0d1376b625c8cb
    OPTIONS CLI11_BUILD_DOCS=OFF CLI11_BUILD_TESTS=OFF CLI11_BUILD_EXAMPLES=OFF CLI11_INSTALL=OFF)
endmacro()

macro(omnibal_need_simdjson)
  omnibal_need(
    simdjson 3.0
    DEBIAN libsimdjson-dev
    URL https://github.com/simdjson/simdjson/archive/refs/tags/v3.0.1.tar.gz
    SHA256 156b1bc5eb0561b2bd166b46d191fd3d95a3e709cc63761477d3b7aec2b6e9ed
    OPTIONS SIMDJSON_DEVELOPER_MODE=OFF)
endmacro()

macro(omnibal_need_fmt)
  omnibal_need(
    fmt 9.1
    DEBIAN libfmt-dev
    URL https://github.com/fmtlib/fmt/archive/refs/tags/9.1.0.tar.gz
    SHA256 5dea48d1fcddc3ec571ce2058e13910a0d4a6bab4cc09a809d8b1dd1c88ae6f2
    OPTIONS FMT_DOC=OFF FMT_INSTALL=OFF FMT_TEST=OFF)
endmacro()

# libcrypto is a part of the system: never fetched.
macro(omnibal_need_openssl)
  find_package(OpenSSL 3.0 QUIET COMPONENTS Crypto)
  if(NOT TARGET OpenSSL::Crypto)
    message(FATAL_ERROR "The command omnibal needs OpenSSL's libcrypto for SHA-256. "
                        "Install it (Debian: libssl-dev), or leave the examples out with "
                        "-DOMNIBAL_BUILD_EXAMPLES=OFF.")
  endif()
endmacro()
