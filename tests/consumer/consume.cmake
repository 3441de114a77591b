# SPDX-License-Identifier: MIT
# Configures, builds and runs the consumer in the folder `way`, from nothing.
function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output
    ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    list(JOIN ARGN " " command)
    message(FATAL_ERROR "${output}\n'${command}' ended with ${status}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${work_dir}")
set(options "-DCMAKE_BUILD_TYPE=Debug")
if(way STREQUAL "find_package")
  run("${CMAKE_COMMAND}" --install "${mews_binary_dir}" --prefix "${work_dir}/prefix")
  list(APPEND options "-DCMAKE_PREFIX_PATH=${work_dir}/prefix")
else()
  list(APPEND options "-DMEWS_SOURCE_DIR=${mews_source_dir}")
endif()

run("${CMAKE_COMMAND}" -S "${CMAKE_CURRENT_LIST_DIR}/${way}" -B "${work_dir}/build"
  -G "${generator}" "-DCMAKE_CXX_COMPILER=${compiler}" ${options})
run("${CMAKE_COMMAND}" --build "${work_dir}/build" --parallel 2)
run("${work_dir}/build/consumer")
message("${output}")
