# SPDX-License-Identifier: MIT
# MEWS_DATA_DIR: where Iosevka-Bold.woff2 is, ../shared/data beside this tree by default.
include("${CMAKE_CURRENT_LIST_DIR}/expect.cmake")

set(font "${work_dir}/font.woff2")
set(font_host "${bin_dir}/font_host" --json --rounds 2)
set(keys input_bytes output_bytes identical plugin_ms local_ms overhead_ms small_messages
  small_p50_us small_p99_us arena_virtual_bytes arena_resident_bytes plugins)

# json_equal(<key> <value>)
function(json_equal key expected)
  string(JSON value GET "${output}" ${key})
  if(NOT value STREQUAL expected)
    message(FATAL_ERROR "${key} is ${value}, not ${expected}:\n${output}")
  endif()
endfunction()

# What must hold of every good run.
function(check_figures)
  string(JSON count LENGTH "${output}")
  list(LENGTH keys expected_count)
  if(NOT count EQUAL expected_count)
    message(FATAL_ERROR "${count} keys, not ${expected_count}:\n${output}")
  endif()
  foreach(key IN LISTS keys)
    string(JSON type TYPE "${output}" ${key})
    string(JSON value GET "${output}" ${key})
    if(key STREQUAL "identical")
      json_equal(identical ON) # as CMake reads true
    elseif(NOT type STREQUAL "NUMBER")
      message(FATAL_ERROR "${key} is no number:\n${output}")
    elseif(NOT value GREATER 0 AND NOT key STREQUAL "overhead_ms") # a difference of two times
      message(FATAL_ERROR "${key} is ${value}:\n${output}")
    endif()
  endforeach()
  json_equal(plugins 17)
endfunction()

if(check STREQUAL "make")
  set(source /usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf)
  find_program(woff2_compress woff2_compress)
  if(NOT woff2_compress OR NOT EXISTS "${source}")
    message(FATAL_ERROR "needs woff2_compress and ${source} (Debian: woff2, fonts-dejavu-core)")
  endif()
  configure_file("${source}" "${work_dir}/font.ttf" COPYONLY)
  expect(0 "" "${woff2_compress}" "${work_dir}/font.ttf")

elseif(check STREQUAL "whole")
  expect(0 "" ${font_host} --font "${font}")
  check_figures()
  file(SIZE "${font}" bytes)
  json_equal(input_bytes ${bytes})
  expect(0 "identical to the host's own.*overhead: round trip - host alone"
    "${bin_dir}/font_host" --rounds 1 --font "${font}")

elseif(check STREQUAL "story")
  set(data_dir "$ENV{MEWS_DATA_DIR}")
  if(data_dir STREQUAL "")
    set(data_dir "${source_dir}/../shared/data")
  endif()
  if(NOT EXISTS "${data_dir}/Iosevka-Bold.woff2")
    skip("no Iosevka-Bold.woff2 in ${data_dir}; MEWS_DATA_DIR names another folder")
  endif()
  expect(0 "" ${font_host} --font "${data_dir}/Iosevka-Bold.woff2")
  check_figures()
  json_equal(input_bytes 1506136)
  json_equal(output_bytes 9814676)

elseif(check STREQUAL "spoilt")
  foreach(nth IN ITEMS 1 2 5) # the cold one, a busy one, a quiet one
    expect(1 "" ${font_host} --font "${font}" --spoil ${nth})
    json_equal(identical OFF)
  endforeach()
  expect(0 "" ${font_host} --font "${font}" --spoil 6) # there are but five
  json_equal(identical ON)

elseif(check STREQUAL "refused")
  expect(1 "^font_host: cannot read the font \"/no/such/font\": No such file or directory\n$"
    ${font_host} --font /no/such/font)
  set(bad "${work_dir}/bad.woff2")
  file(SIZE "${font}" bytes)
  set(damaged "^font_host: fonts: the WOFF2 file of [0-9]+ bytes is damaged, cut short or too large\n$")
  foreach(kept IN ITEMS 4 1000 100000)
    execute_process(COMMAND head -c ${kept} "${font}" OUTPUT_FILE "${bad}")
    expect(1 "${damaged}" ${font_host} --font "${bad}")
  endforeach()
  # Its table of tables, overwritten.
  execute_process(COMMAND sh -c "head -c 48 '${font}'; head -c 64 /dev/zero; tail -c +113 '${font}'"
    OUTPUT_FILE "${bad}")
  expect(1 "${damaged}" ${font_host} --font "${bad}")
  foreach(other IN ITEMS "" "no font")
    file(WRITE "${bad}" "${other}")
    expect(1 "^font_host: fonts: the [0-9]+ bytes are not a WOFF2 file: [^\n]*\n$"
      ${font_host} --font "${bad}")
  endforeach()

elseif(check STREQUAL "limited")
  find_program(prlimit prlimit)
  if(NOT prlimit)
    skip("no prlimit here (util-linux)")
  endif()
  set(limited "${prlimit}" --as=4294967296 ${font_host} --font "${font}")
  expect(0 "" ${limited} --arena small)
  check_figures()
  set(advice "mmap of [0-9]+ bytes of address space; [^\n]*use smaller size_classes")
  expect(1 "^font_host: [^\n]*${advice}[^\n]*\n$" ${limited})

else()
  message(FATAL_ERROR "no such check: ${check}")
endif()
