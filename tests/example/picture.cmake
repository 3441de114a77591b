# SPDX-License-Identifier: MIT
include("${CMAKE_CURRENT_LIST_DIR}/expect.cmake")

expect(0 "pixels  as expected\nmemory  the same all the way: nothing was copied\n$"
  "${bin_dir}/picture_host")
