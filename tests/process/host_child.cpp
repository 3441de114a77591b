// SPDX-License-Identifier: MIT
// A host that dies: "host_child PLUGIN ROLE... FD" starts PLUGIN, which outlives it, has FD and
// blocks in a call, and kills itself.
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "ends.hpp"

namespace {

using namespace process_test;

int run(const std::vector<std::string>& command) {
  auto host = must(mews::Session::create(small_arena()));
  mews::PluginOptions options;
  options.process.inherited_fds = {std::stoi(command.back())};
  options.process.parent_death_signal = 0;
  auto plugin = must(host.spawn("outlives", command, options));
  must(plugin.channel().receive(kPatience));
  for (int i = 0; i < 3; ++i)
    must(plugin.channel().send(bytes_of("last words"), {}, kPatience));
  // It may be asleep by now or not; either must end.
  const bool is_receiving = std::find(command.begin(), command.end(), "receive") != command.end();
  std::this_thread::sleep_for(is_receiving ? 0ms : 50ms);
  return ::raise(SIGKILL);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  try {
    return run({argv + 1, argv + argc});
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "host_child: %s\n", failure.what());
    return 3;
  }
}
