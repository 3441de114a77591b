# SPDX-License-Identifier: MIT

# expect(<exit status> <pattern of what is printed, stderr included> <command>...)
# Leaves what was printed to stdout in `output`.
function(expect status pattern)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE got OUTPUT_VARIABLE output ERROR_VARIABLE errors)
  if(NOT got STREQUAL status OR NOT "${output}${errors}" MATCHES "${pattern}")
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "'${command}' ended with ${got}, not ${status}, or does not say "
      "\"${pattern}\":\n${output}${errors}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

# Ends the test as one that could not run.
macro(skip reason)
  message("skipped: ${reason}")
  return()
endmacro()
