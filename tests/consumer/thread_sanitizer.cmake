# SPDX-License-Identifier: MIT
# A program under ThreadSanitizer works with the library below `prefix`, which is plain and static;
# and both do the same about the light fence.
cmake_minimum_required(VERSION 3.25)
include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")

file(REMOVE_RECURSE "${work_dir}")
file(MAKE_DIRECTORY "${work_dir}")
ask_pkg_config()

# ThreadSanitizer may not start where the kernel spreads addresses wider than it knows.
set(tsan -fsanitize=thread)
set(probe "${work_dir}/probe")
file(WRITE "${probe}.cpp" "int main() {}\n")
execute_process(COMMAND "${compiler}" ${tsan} "${probe}.cpp" -o "${probe}"
  RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
if(NOT status EQUAL 0)
  message("skipped: this compiler does not link ThreadSanitizer")
  return()
endif()
set(runner setarch -R)
execute_process(COMMAND ${runner} "${probe}" RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
if(NOT status EQUAL 0)
  set(runner "")
  execute_process(COMMAND "${probe}" RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
endif()
if(NOT status EQUAL 0)
  message("skipped: ThreadSanitizer does not start here")
  return()
endif()

# build(<program> <source> <flag>...)
function(build program source)
  run("${compiler}" -std=c++20 -O1 -g -Wall -Wextra -Werror ${ARGN}
    "${CMAKE_CURRENT_LIST_DIR}/${source}.cpp" ${cflags} ${libs} -o "${work_dir}/${program}")
endfunction()

# It does not see how a plain library orders its own accesses, so what it says of them is no race.
set(ENV{TSAN_OPTIONS} "report_bugs=0")
build(consumer consumer ${tsan})
run(${runner} "${work_dir}/consumer")
message("${output}")

# What light_fence.cpp counts, as the linker calls it.
run(nm --extern-only --defined-only "${lib_dir}/libmews.a")
if(NOT output MATCHES " T ([^ \n]*ChannelCore9ring_slow[^ \n]*)")
  message(FATAL_ERROR "${lib_dir}/libmews.a has no ChannelCore::ring_slow")
endif()
set(count "-DRING_SLOW=\"${CMAKE_MATCH_1}\"" "-Wl,--wrap=${CMAKE_MATCH_1}")
build(plain light_fence ${count})
build(sanitized light_fence ${count} ${tsan})
foreach(is_full IN ITEMS "" 1)
  set(ENV{MEWS_FULL_FENCE} "${is_full}")
  run("${work_dir}/plain")
  set(plain "${output}")
  run(${runner} "${work_dir}/sanitized")
  string(STRIP "${plain}${output}" text)
  string(REPLACE "\n" ", under ThreadSanitizer " text "${text}")
  message("MEWS_FULL_FENCE='${is_full}': plain ${text}")
  if(NOT output STREQUAL plain OR (is_full AND NOT output STREQUAL "full\n"))
    message(FATAL_ERROR "they must be the same, and full where that is asked for")
  endif()
endforeach()
