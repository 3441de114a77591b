# SPDX-License-Identifier: MIT
# Writes a copy of a source file of the library with one bug in it. Run with SPEC (a file of this
# folder), ROOT (the project) and OUT (where to write).
#
# A spec names the file, then what to compile against the copy, then gives pieces of text to be
# found, each exactly once, and what to put there instead:
#
#   file <path>
#   with <path>...
#   <<<<
#   as it is
#   ====
#   as it is with the bug
#   >>>>
cmake_minimum_required(VERSION 3.25)
file(READ "${SPEC}" spec)
string(REGEX MATCH "^file ([^\n]+)\n" first_line "${spec}")
file(READ "${ROOT}/${CMAKE_MATCH_1}" source)

set(is_changed FALSE)
while(TRUE)
  string(FIND "${spec}" "\n<<<<\n" begin)
  if(begin LESS 0)
    break()
  endif()
  math(EXPR begin "${begin} + 6")
  string(SUBSTRING "${spec}" ${begin} -1 spec)
  string(FIND "${spec}" "====\n" middle)
  string(FIND "${spec}" ">>>>\n" end)
  string(SUBSTRING "${spec}" 0 ${middle} before)
  math(EXPR middle "${middle} + 5")
  math(EXPR length "${end} - ${middle}")
  string(SUBSTRING "${spec}" ${middle} ${length} after)

  string(FIND "${source}" "${before}" at)
  string(FIND "${source}" "${before}" last REVERSE)
  if(at LESS 0 OR NOT at EQUAL last)
    message(FATAL_ERROR "${SPEC}: this is not, or not once, in the source any more:\n${before}")
  endif()
  string(REPLACE "${before}" "${after}" source "${source}")
  set(is_changed TRUE)
endwhile()
if(NOT is_changed)
  message(FATAL_ERROR "${SPEC} changes nothing")
endif()
file(WRITE "${OUT}" "${source}")
