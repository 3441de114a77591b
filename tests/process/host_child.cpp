// SPDX-License-Identifier: MIT
// A host that dies: "host_child PLUGIN KIND FD" starts PLUGIN, which blocks in a call of that
// kind, and kills itself; the plugin writes to FD what the call then said.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "ends.hpp"

namespace {

using namespace process_test;

int run(const std::string& program, const std::string& kind, const std::string& fd) {
  auto host = must(mews::Session::create(small_arena()));
  auto plugin = must(host.spawn("outlives", {program, "outlive", kind, fd}));
  must(plugin.channel().receive(kPatience));
  for (int i = 0; i < 3; ++i)
    must(plugin.channel().send(bytes_of("last words"), {}, kPatience));
  // It may be asleep by now or not; either must end.
  std::this_thread::sleep_for(kind == "receive" ? 0ms : 50ms);
  return ::raise(SIGKILL);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  try {
    return run(argv[1], argv[2], argv[3]);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "host_child: %s\n", failure.what());
    return 3;
  }
}
