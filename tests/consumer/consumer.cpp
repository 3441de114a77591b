// SPDX-License-Identifier: MIT
#include <cstdio>
#include <mews/mews.hpp>

int main() {
  const auto session = mews::Session::create({.name = "consumer"});
  if (!session) {
    std::fprintf(stderr, "no arena: %s\n", session.error().message().c_str());
    return 1;
  }
  std::puts("consumer: an arena is made");
}
