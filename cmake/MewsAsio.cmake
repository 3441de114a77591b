# SPDX-License-Identifier: MIT
# Makes mews_standalone_asio and mews_boost_asio, each if its headers are found and have coroutines
# with this compiler (those of Debian 12 have none with clang), for tests and examples: a target that
# links it gets that Asio by mews/asio.hpp.
include(CheckCXXSourceCompiles)

# mews_find_asio(<target> <header> <definition> <coroutines> [<folder>...])
function(mews_find_asio target header definition coroutines)
  if(TARGET ${target})
    return()
  endif()
  find_path(${target}_dir ${header} HINTS ${ARGN})
  mark_as_advanced(${target}_dir)
  if(NOT ${target}_dir)
    return()
  endif()
  set(CMAKE_REQUIRED_FLAGS "-std=c++20")
  set(CMAKE_REQUIRED_INCLUDES "${${target}_dir}")
  set(CMAKE_REQUIRED_QUIET ON)
  # Boost 1.74 forgets <utility>.
  check_cxx_source_compiles("#include <utility>
    #include <${header}>
    #if !defined(${coroutines})
    #error no coroutines
    #endif
    int main() {}" ${target}_awaits)
  if(NOT ${target}_awaits)
    message(STATUS "mews: <${header}> has no coroutines with this compiler, and is not used")
    return()
  endif()
  add_library(${target} INTERFACE)
  target_include_directories(${target} SYSTEM INTERFACE "${${target}_dir}")
  target_compile_definitions(${target} INTERFACE ${definition})
endfunction()

set(boost_dirs "")
if(TARGET Boost::headers)
  get_target_property(boost_dirs Boost::headers INTERFACE_INCLUDE_DIRECTORIES)
endif()
mews_find_asio(mews_standalone_asio asio.hpp MEWS_ASIO_STANDALONE ASIO_HAS_CO_AWAIT)
mews_find_asio(mews_boost_asio boost/asio.hpp MEWS_ASIO_BOOST BOOST_ASIO_HAS_CO_AWAIT
  ${boost_dirs})
