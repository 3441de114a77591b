# SPDX-License-Identifier: MIT
# Counts the instructions of one message of `kind` with callgrind: those that `program` takes for
# twice as many messages, less those for half as many. Compares them with recorded.txt, and with
# the limits, which are for GCC.
cmake_minimum_required(VERSION 3.25)

set(limit_inline 200)
set(limit_slab 450)
set(times_inline 20000)
set(times_slab 20000)
set(times ${times_${kind}})

function(count messages result)
  execute_process(COMMAND "${valgrind}" --tool=callgrind --callgrind-out-file=/dev/null
    "${program}" "${kind}" ${messages} RESULT_VARIABLE status OUTPUT_VARIABLE output
    ERROR_VARIABLE errors)
  if(NOT status EQUAL 0 OR NOT errors MATCHES "Collected : ([0-9]+)")
    message(FATAL_ERROR "${output}${errors}\n${valgrind} of '${program} ${kind} ${messages}' "
      "ended with ${status}")
  endif()
  set(${result} "${CMAKE_MATCH_1}" PARENT_SCOPE)
endfunction()

math(EXPR twice "2 * ${times}")
count(${times} once_count)
count(${twice} twice_count)
math(EXPR measured "(${twice_count} - ${once_count} + ${times} / 2) / ${times}")

string(REGEX MATCH "^[A-Za-z]+-[0-9]+" name "${compiler}")
set(table "${CMAKE_CURRENT_LIST_DIR}/recorded.txt")
file(STRINGS "${table}" record REGEX "^${name} ")
set(recorded "none")
if(record MATCHES "^[^ ]+ +([0-9]+) +([0-9]+)$")
  set(recorded_inline ${CMAKE_MATCH_1})
  set(recorded_slab ${CMAKE_MATCH_2})
  set(recorded ${recorded_${kind}})
endif()

set(figures "a message (${kind}) takes ${measured} instructions; recorded for ${name}: ${recorded}")
if(name MATCHES "^GNU" AND measured GREATER limit_${kind})
  message(FATAL_ERROR "${figures}; the limit is ${limit_${kind}}. `callgrind_annotate` says where "
    "they go: ${valgrind} --tool=callgrind ${program} ${kind} ${times}")
endif()
if(NOT recorded STREQUAL "none")
  math(EXPR difference "100 * (${measured} - ${recorded})")
  math(EXPR allowed "5 * ${recorded}")
  if(difference GREATER allowed OR difference LESS -${allowed})
    message(FATAL_ERROR "${figures}, more than 5 % away. If this is meant, update ${table}")
  endif()
endif()
message("${figures}")
