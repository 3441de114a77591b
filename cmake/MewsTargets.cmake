# SPDX-License-Identifier: MIT
# What every target of this project shares: language level, warnings, sanitizers.

# Warnings are private: a consumer keeps its own.
function(mews_own_target target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow -Wconversion)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # Code that could be replaced when it is loaded is not inlined; clang inlines it anyway.
    target_compile_options(${target} PRIVATE -fno-semantic-interposition)
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # GCC 12 warns of std::string's own assignment (https://gcc.gnu.org/PR105329), and of temporaries
    # of aggregates that are moved from in time.
    target_compile_options(${target} PRIVATE -Wno-restrict -Wno-dangling-pointer)
  endif()
  if(MEWS_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(MEWS_SANITIZE)
    target_compile_options(${target} PRIVATE
      -fsanitize=${MEWS_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
      # GCC sees uninitialized reads in what its own sanitizers insert.
      $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
    target_link_options(${target} PUBLIC $<BUILD_INTERFACE:-fsanitize=${MEWS_SANITIZE}>)
  endif()
endfunction()
