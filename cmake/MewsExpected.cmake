# SPDX-License-Identifier: MIT
# Defines tl::expected: from its CMake package, or from the bare header.
# Installed as well, since mews' headers include it.
if(NOT TARGET tl::expected)
  find_package(tl-expected CONFIG QUIET)
endif()
if(NOT TARGET tl::expected)
  find_path(MEWS_TL_EXPECTED_DIR tl/expected.hpp)
  mark_as_advanced(MEWS_TL_EXPECTED_DIR)
  if(MEWS_TL_EXPECTED_DIR)
    add_library(tl::expected INTERFACE IMPORTED GLOBAL)
    target_include_directories(tl::expected INTERFACE "${MEWS_TL_EXPECTED_DIR}")
  endif()
endif()
