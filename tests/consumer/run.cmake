# SPDX-License-Identifier: MIT

# run(<command>...): fails, and shows what was printed, unless it ends with 0. Leaves what was
# printed in `output`.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output
    ERROR_VARIABLE errors)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${output}${errors}\n'${command}' ended with ${status}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()
