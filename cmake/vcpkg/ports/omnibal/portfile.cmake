# SPDX-License-Identifier: Apache-2.0
# An overlay port over this checkout: vcpkg install omnibal --overlay-ports=<checkout>/cmake/vcpkg/ports
# A port in a registry differs only in where SOURCE_PATH comes from.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../../.." ABSOLUTE)

# Headers only: one build type is enough.
set(VCPKG_BUILD_TYPE release)

vcpkg_check_features(
  OUT_FEATURE_OPTIONS FEATURE_OPTIONS
  FEATURES
    gpu OMNIBAL_ENABLE_GPU
    nccl OMNIBAL_ENABLE_NCCL)

vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    ${FEATURE_OPTIONS}
    -DOMNIBAL_ENABLE_MPI=OFF
    -DOMNIBAL_BUILD_TESTS=OFF
    -DOMNIBAL_BUILD_BENCH=OFF
    -DOMNIBAL_BUILD_EXAMPLES=OFF
    -DOMNIBAL_INSTALL=ON)

vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/omnibal)

file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/lib" "${CURRENT_PACKAGES_DIR}/debug"
     "${CURRENT_PACKAGES_DIR}/share/doc" "${CURRENT_PACKAGES_DIR}/share/cmake")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
