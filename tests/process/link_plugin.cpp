// SPDX-License-Identifier: MIT
// "THREADS": serves the link to its host from so many threads.
#include <cstdio>
#include <exception>

#include "link_roles.hpp"

int main(int argc, char** argv) try {
  using namespace process_test;
  auto session = must(mews::Session::attach());
  auto link = must(mews::Link::over(std::move(session.channel()), {.types = kLinkTypes}));
  return serve_link(std::move(link), argc > 1 ? static_cast<unsigned>(std::stoi(argv[1])) : 1);
} catch (const std::exception& why) {
  std::fprintf(stderr, "link_plugin: %s\n", why.what());
  return 99;
}
