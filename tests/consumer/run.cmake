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

# ask_pkg_config(): leaves in `cflags`, `libs` and `lib_dir` how to use the library below `prefix`.
function(ask_pkg_config)
  file(GLOB_RECURSE pc_file "${prefix}/mews.pc")
  cmake_path(GET pc_file PARENT_PATH pc_dir)
  set(ENV{PKG_CONFIG_PATH} "${pc_dir}")
  foreach(what IN ITEMS cflags libs)
    run(pkg-config --${what} mews)
    separate_arguments(${what} UNIX_COMMAND "${output}")
    set(${what} "${${what}}" PARENT_SCOPE)
  endforeach()
  run(pkg-config --variable=libdir mews)
  string(STRIP "${output}" lib_dir)
  set(lib_dir "${lib_dir}" PARENT_SCOPE)
endfunction()
