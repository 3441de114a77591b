# SPDX-License-Identifier: MIT
# Makes mews_standalone_asio and mews_boost_asio, each if its headers are found, for tests and
# examples: a target that links it gets that Asio by mews/asio.hpp.

# mews_find_asio(<target> <header> <definition> [<folder>...])
function(mews_find_asio target header definition)
  if(TARGET ${target})
    return()
  endif()
  find_path(${target}_dir ${header} HINTS ${ARGN})
  mark_as_advanced(${target}_dir)
  if(${target}_dir)
    add_library(${target} INTERFACE)
    target_include_directories(${target} SYSTEM INTERFACE "${${target}_dir}")
    target_compile_definitions(${target} INTERFACE ${definition})
  endif()
endfunction()

set(boost_dirs "")
if(TARGET Boost::headers)
  get_target_property(boost_dirs Boost::headers INTERFACE_INCLUDE_DIRECTORIES)
endif()
mews_find_asio(mews_standalone_asio asio.hpp MEWS_ASIO_STANDALONE)
mews_find_asio(mews_boost_asio boost/asio.hpp MEWS_ASIO_BOOST ${boost_dirs})

# clang before 15 does not have the coroutines of libstdc++.
include(CheckCXXSourceCompiles)
set(CMAKE_REQUIRED_FLAGS "-std=c++20")
check_cxx_source_compiles("#include <coroutine>
  std::coroutine_handle<> handle; int main() {}" MEWS_HAS_COROUTINES)
unset(CMAKE_REQUIRED_FLAGS)
