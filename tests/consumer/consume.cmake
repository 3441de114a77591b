# SPDX-License-Identifier: MIT
# Builds and runs the consumer from nothing, by the `way`: the CMake project in the folder of that
# name, or pkg_config, plain or with `flags`. `prefix`: where the library is installed.
include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")

file(REMOVE_RECURSE "${work_dir}")
file(MAKE_DIRECTORY "${work_dir}/build")
set(consumer "${work_dir}/build/consumer")

if(way STREQUAL "pkg_config")
  ask_pkg_config()
  separate_arguments(flags UNIX_COMMAND "${flags}")
  run("${compiler}" -std=c++20 -Wall -Wextra -Werror ${flags}
    "${CMAKE_CURRENT_LIST_DIR}/consumer.cpp" ${cflags} ${libs} -o "${consumer}")
  # A shared library that lies nowhere the system looks.
  set(ENV{LD_LIBRARY_PATH} "${lib_dir}")
else()
  set(options "-DCMAKE_BUILD_TYPE=Debug" "-DCMAKE_CXX_COMPILER=${compiler}")
  if(prefix)
    list(APPEND options "-DCMAKE_PREFIX_PATH=${prefix}")
  else()
    list(APPEND options "-DMEWS_SOURCE_DIR=${mews_source_dir}")
  endif()
  run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/${way}" -B "${work_dir}/build"
    -G "${generator}" ${options})
  run("${CMAKE_COMMAND}" --build "${work_dir}/build" --parallel 2)
endif()

if(is_shared)
  run(readelf -d "${consumer}")
  if(NOT output MATCHES "\\[libmews\\.so")
    message(FATAL_ERROR "${consumer} does not use libmews.so:\n${output}")
  endif()
  # Program and library would each have their own.
  run(nm --defined-only --demangle "${consumer}")
  if(output MATCHES "[^\n]* [BbDdu] (guard variable for )?mews::[^\n]*")
    message(FATAL_ERROR "${consumer} has a variable of the library's: ${CMAKE_MATCH_0}")
  endif()
endif()
run("${consumer}")
message("${output}")
