# SPDX-License-Identifier: Apache-2.0
# The installed package: headers, the targets of each component, and the files find_package reads.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/omnibal")

# One file of targets a component, so that asking for one never needs another's dependency.
function(omnibal_install_target target export)
  install(
    TARGETS ${target}
    EXPORT ${export}
    FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  install(EXPORT ${export} NAMESPACE omnibal:: DESTINATION "${package_dir}")
endfunction()

omnibal_install_target(omnibal omnibalTargets)
foreach(part IN LISTS OMNIBAL_COMPONENTS)
  omnibal_install_target(omnibal_${part} omnibal-${part}-targets)
endforeach()

configure_package_config_file(
  "${CMAKE_CURRENT_LIST_DIR}/omnibalConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/package/omnibalConfig.cmake" INSTALL_DESTINATION "${package_dir}"
  PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
# While the version is 0.x, each minor release may break what was before.
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/package/omnibalConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/package/omnibalConfig.cmake"
              "${PROJECT_BINARY_DIR}/package/omnibalConfigVersion.cmake"
              "${CMAKE_CURRENT_LIST_DIR}/compiled.cmake"
        DESTINATION "${package_dir}")
if(OMNIBAL_NCCL)
  install(FILES "${PROJECT_SOURCE_DIR}/cmake/FindNCCL.cmake" DESTINATION "${package_dir}")
endif()
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
