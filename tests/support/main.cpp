// SPDX-License-Identifier: MIT
// Catch2 version 3 is linked with its own main; version 2 makes one here.
#if !__has_include(<catch2/catch_test_macros.hpp>)
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#endif
