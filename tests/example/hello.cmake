# SPDX-License-Identifier: MIT
include("${CMAKE_CURRENT_LIST_DIR}/expect.cmake")

if(check STREQUAL "greeting")
  expect(0 "^the plugin says: hello, peregrine!\n$" "${bin_dir}/hello_host")
elseif(check STREQUAL "alone")
  file(COPY "${bin_dir}/hello_host" DESTINATION "${work_dir}/alone")
  expect(1 "^hello_host: .*${work_dir}/alone/hello_plugin.*No such file" "${work_dir}/alone/hello_host")
else()
  message(FATAL_ERROR "no such check: ${check}")
endif()
