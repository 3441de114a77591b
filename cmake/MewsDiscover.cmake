# SPDX-License-Identifier: MIT
# Run by ctest for each test program, with executable, list_arguments, timeout and properties set.
cmake_path(GET executable STEM program)

if(NOT EXISTS "${executable}")
  add_test("${program}: is not built" "${executable}")
  return()
endif()

# Version 2 of Catch2 exits with the number of tests, so the status says nothing.
execute_process(COMMAND "${executable}" ${list_arguments}
  OUTPUT_VARIABLE names ERROR_VARIABLE errors RESULT_VARIABLE status)
if(names STREQUAL "")
  if(NOT status EQUAL 0)
    message("${program} does not list its tests (${status}): ${errors}")
    add_test("${program}: lists its tests" "${executable}" ${list_arguments})
  endif()
  return()
endif()

# The long runs are meant to be long.
if("$ENV{MEWS_LONG}")
  math(EXPR timeout "${timeout} * 20")
endif()

# Not a foreach over a list: a name may hold semicolons and brackets.
while(names MATCHES "^([^\n]*)\n(.*)$")
  set(name "${CMAKE_MATCH_1}")
  set(names "${CMAKE_MATCH_2}")
  if(name STREQUAL "")
    continue()
  endif()
  string(REGEX REPLACE "([\\\\,[]|])" "\\\\\\1" filter "${name}")
  add_test("${name}" "${executable}" "${filter}")
  set_tests_properties("${name}" PROPERTIES TIMEOUT ${timeout} ${properties})
endwhile()
