# SPDX-License-Identifier: MIT
# Two versions do not link: each name of the library below `prefix` has the layout's version, and a
# program that was compiled with the headers of another version finds none of them.
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")

file(REMOVE_RECURSE "${work_dir}")
file(MAKE_DIRECTORY "${work_dir}")
ask_pkg_config()

# The same headers, but for one number.
file(COPY "${prefix}/include/mews" DESTINATION "${work_dir}/other")
set(number_file "${work_dir}/other/mews/base/layout_version.hpp")
file(READ "${number_file}" text)
if(NOT text MATCHES "#define MEWS_LAYOUT_VERSION ([0-9]+)")
  message(FATAL_ERROR "${number_file} does not define the version:\n${text}")
endif()
set(this_version ${CMAKE_MATCH_1})
math(EXPR other_version "${this_version} + 1")
string(REPLACE "${CMAKE_MATCH_0}" "#define MEWS_LAYOUT_VERSION ${other_version}" text "${text}")
file(WRITE "${number_file}" "${text}")

# expect_version(<version> <file> <nm option>...): in each name of mews that the linker sees.
function(expect_version version file)
  run(nm --demangle ${ARGN} "${file}")
  if(NOT output MATCHES "mews::layout_${version}::")
    message(FATAL_ERROR "${file} has no name of version ${version}:\n${output}")
  endif()
  string(REPLACE "mews::layout_${version}::" "" others "${output}")
  if(others MATCHES "[^\n]*mews::[^\n]*")
    message(FATAL_ERROR "${file} has a name without version ${version}: ${CMAKE_MATCH_0}")
  endif()
endfunction()
if(is_shared)
  expect_version(${this_version} "${lib_dir}/libmews.so" --dynamic --defined-only)
else()
  expect_version(${this_version} "${lib_dir}/libmews.a" --extern-only --defined-only)
endif()

# Compiles against the headers in `include_dir`, and links with the library below `prefix`.
function(compile name include_dir)
  run("${compiler}" -std=c++20 -I "${include_dir}" ${cflags}
    -c "${CMAKE_CURRENT_LIST_DIR}/consumer.cpp" -o "${work_dir}/${name}.o")
endfunction()
set(link "${compiler}" "${work_dir}/this.o" ${libs} -o "${work_dir}/consumer")

compile(this "${prefix}/include")
run(${link})

compile(other "${work_dir}/other")
expect_version(${other_version} "${work_dir}/other.o" --extern-only)
list(TRANSFORM link REPLACE "/this\\.o$" "/other.o")
execute_process(COMMAND ${link} RESULT_VARIABLE status ERROR_VARIABLE errors)
if(status EQUAL 0)
  message(FATAL_ERROR "a program of version ${other_version} links with ${lib_dir}")
endif()
if(NOT errors MATCHES "undefined reference to `mews::layout_${other_version}::Session::create")
  message(FATAL_ERROR "it does not link, but for another reason:\n${errors}")
endif()
