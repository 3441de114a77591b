# SPDX-License-Identifier: MIT
# Makes and installs mews.pc, for `pkg-config --cflags --libs mews`. An installed tree may be moved:
# its prefix is found from where mews.pc lies, unless the folders were given as absolute paths.

# mews_pkg_config_dir(<result> <what CMAKE_INSTALL_..DIR says>)
function(mews_pkg_config_dir result dir)
  if(IS_ABSOLUTE "${dir}")
    set(${result} "${dir}" PARENT_SCOPE)
  else()
    set(${result} "\${prefix}/${dir}" PARENT_SCOPE)
  endif()
endfunction()

set(pc_dir "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
if(IS_ABSOLUTE "${pc_dir}")
  set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
else()
  file(RELATIVE_PATH up "/${pc_dir}" "/")
  string(REGEX REPLACE "/$" "" up "${up}")
  set(pc_prefix "\${pcfiledir}/${up}")
endif()
mews_pkg_config_dir(pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
mews_pkg_config_dir(pc_libdir "${CMAKE_INSTALL_LIBDIR}")

# tl/expected.hpp has no file of its own there; mostly it lies where every compiler looks.
set(pc_more_cflags "")
get_target_property(expected_dirs tl::expected INTERFACE_INCLUDE_DIRECTORIES)
foreach(dir IN LISTS expected_dirs)
  if(NOT dir IN_LIST CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES)
    string(APPEND pc_more_cflags " -I${dir}")
  endif()
endforeach()

# A static library brings along what it links; a shared one names that itself.
set(pc_libs_private -pthread)
if(NOT MEWS_LIBC_HAS_SHM_OPEN)
  string(APPEND pc_libs_private " -lrt")
endif()
set(pc_libs "")
if(NOT BUILD_SHARED_LIBS)
  set(pc_libs " ${pc_libs_private}")
  set(pc_libs_private "")
endif()

configure_file("${PROJECT_SOURCE_DIR}/cmake/mews.pc.in" "${PROJECT_BINARY_DIR}/mews.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/mews.pc" DESTINATION "${pc_dir}")
