# SPDX-License-Identifier: MIT
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/mews")
configure_package_config_file(
  "${PROJECT_SOURCE_DIR}/cmake/mewsConfig.cmake.in" "${PROJECT_BINARY_DIR}/mewsConfig.cmake"
  INSTALL_DESTINATION "${config_dir}")
# Below 1.0 a new minor version may change the API and the arena's layout.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/mewsConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)

install(TARGETS mews EXPORT mewsTargets FILE_SET HEADERS FILE_SET asio_headers)
# The folders are installed because the top level includes them; these say that they are internal.
foreach(folder IN ITEMS mews mews/detail)
  install(FILES "${PROJECT_SOURCE_DIR}/include/${folder}/README.md"
    DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/${folder}")
endforeach()
install(EXPORT mewsTargets NAMESPACE mews:: DESTINATION "${config_dir}")
install(FILES
  "${PROJECT_BINARY_DIR}/mewsConfig.cmake" "${PROJECT_BINARY_DIR}/mewsConfigVersion.cmake"
  "${PROJECT_SOURCE_DIR}/cmake/MewsExpected.cmake"
  DESTINATION "${config_dir}")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")

include(MewsPkgConfig)
