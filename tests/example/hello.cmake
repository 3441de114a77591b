# SPDX-License-Identifier: MIT
include("${CMAKE_CURRENT_LIST_DIR}/expect.cmake")

if(check STREQUAL "greeting")
  expect(0 "^the plugin says: hello, peregrine!\nhello: exit code 0\n$" "${bin_dir}/hello_host")
elseif(check STREQUAL "calls")
  expect(0 "3 words in 'the mews and the hood'\n.*words: sleep: no answer for .*taken .*cancelled"
    "${bin_dir}/calls_host")
elseif(check STREQUAL "many")
  expect(0 "three, asked for hobby: hello, hobby!\n" "${bin_dir}/many_host")
  string(REGEX MATCHALL "asked for ([a-z]+): hello, [a-z]+!\n" answers "${output}")
  list(LENGTH answers count)
  if(NOT count EQUAL 9)
    message(FATAL_ERROR "${count} answers, not 9:\n${output}")
  endif()
elseif(check STREQUAL "coroutines")
  expect(0 "^17 plugins: 51 answers\n$" "${bin_dir}/coroutine_host")
elseif(check STREQUAL "interrupted")
  # It is interrupted once it has said that it waits for that.
  set(fifo "${work_dir}/coroutine_host.fifo")
  file(REMOVE "${fifo}")
  expect(0 "^17 plugins: [0-9]+ answers\n$" sh -c "mkfifo '${fifo}' && {
    '${bin_dir}/coroutine_host' --wait >'${fifo}' &
    {
      read -r line && kill -INT $! && cat
    } <'${fifo}'
    wait $!
  }")
elseif(check STREQUAL "killed")
  expect(0 "two has died: [^\n]*signal 9 [^\n]*\n" "${bin_dir}/many_host" --kill)
  if(NOT output MATCHES "one, asked for hobby: hello, hobby!" OR
     NOT output MATCHES "three, asked for hobby: hello, hobby!" OR output MATCHES "(one|three) (has|is) ")
    message(FATAL_ERROR "not all others went on:\n${output}")
  endif()
elseif(check STREQUAL "alone")
  file(COPY "${bin_dir}/hello_host" DESTINATION "${work_dir}/alone")
  expect(1 "^hello_host: .*${work_dir}/alone/hello_plugin.*No such file" "${work_dir}/alone/hello_host")
else()
  message(FATAL_ERROR "no such check: ${check}")
endif()
