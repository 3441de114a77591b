# SPDX-License-Identifier: MIT
# Installs the library into `work_dir`/prefix: the one of the build in `mews_binary_dir`, or where
# that is empty one that is built here as README says, of the kind that `is_shared` says. It is
# installed elsewhere and moved, so nothing in it may name the place.
include("${CMAKE_CURRENT_LIST_DIR}/run.cmake")

file(REMOVE_RECURSE "${work_dir}/made" "${work_dir}/prefix")
file(MAKE_DIRECTORY "${work_dir}")

if(NOT mews_binary_dir)
  set(mews_binary_dir "${work_dir}/build")
  # As on a system with the packages for building alone.
  set(absent "")
  foreach(package IN ITEMS Catch2 benchmark CLI11 nlohmann_json PkgConfig)
    list(APPEND absent "-DCMAKE_DISABLE_FIND_PACKAGE_${package}=ON")
  endforeach()
  run("${CMAKE_COMMAND}" -S "${mews_source_dir}" -B "${mews_binary_dir}" --fresh -G "${generator}"
    "-DCMAKE_CXX_COMPILER=${compiler}" "-DBUILD_SHARED_LIBS=${is_shared}" -DMEWS_WERROR=ON ${absent})
  run("${CMAKE_COMMAND}" --build "${mews_binary_dir}" --parallel 2)
endif()
run("${CMAKE_COMMAND}" --install "${mews_binary_dir}" --prefix "${work_dir}/made")
file(RENAME "${work_dir}/made" "${work_dir}/prefix")

file(GLOB_RECURSE texts "${work_dir}/prefix/*.cmake" "${work_dir}/prefix/*.pc")
foreach(file IN LISTS texts)
  file(READ "${file}" text)
  string(FIND "${text}" "${work_dir}" at)
  if(NOT at EQUAL -1)
    message(FATAL_ERROR "${file} names the folder that it was installed into")
  endif()
endforeach()

foreach(folder IN ITEMS mews mews/detail)
  if(NOT EXISTS "${work_dir}/prefix/include/${folder}/README.md")
    message(FATAL_ERROR "include/${folder} is installed without the README that says for whom it is")
  endif()
endforeach()

file(GLOB_RECURSE libraries "${work_dir}/prefix/libmews.*")
list(JOIN libraries "\n" libraries)
if(NOT is_shared)
  if(NOT libraries MATCHES "^[^\n]*/libmews\\.a$")
    message(FATAL_ERROR "installed is not libmews.a alone:\n${libraries}")
  endif()
  return()
endif()
if(NOT libraries MATCHES "/libmews\\.so\n" OR libraries MATCHES "\\.a(\n|$)")
  message(FATAL_ERROR "installed is not libmews.so alone:\n${libraries}")
endif()
file(GLOB_RECURSE library "${work_dir}/prefix/libmews.so")
run(readelf -d "${library}")
if(output MATCHES "RPATH|RUNPATH" OR NOT output MATCHES "soname: \\[libmews\\.so\\.[0-9]+\\.[0-9]+\\]")
  message(FATAL_ERROR "${library} has a search path, or no version in its name:\n${output}")
endif()
# The inside stays inside: another library of this process may have one of the same name.
run(nm --dynamic --defined-only --demangle "${library}")
foreach(inside IN ITEMS "mews::layout_[0-9]+::os::"
    "mews::layout_[0-9]+::mem::SlabPool::" "fmt::v[0-9]+::vformat")
  if(output MATCHES "[^\n]* T ${inside}[^\n]*")
    message(FATAL_ERROR "${library} exports its inside: ${CMAKE_MATCH_0}")
  endif()
endforeach()
