// SPDX-License-Identifier: MIT
// Plays the role that its arguments name, as a plugin process. "socket ADDRESS ROLE..." and
// "name NAME ROLE..." join an arena that did not start it; "twice ROLE..." tries to attach once
// more and must fail; "unwatched ROLE..." has no watcher thread.
#include <cstdio>

#include "grim_roles.hpp"
#include "roles.hpp"

namespace {

using namespace process_test;

int run(Words words) {
  mews::AttachOptions options;
  if (words.at(0) == "socket" || words.at(0) == "name") {
    (words[0] == "socket" ? options.socket : options.name) = words.at(1);
    options.as = "joiner";
    words.erase(words.begin(), words.begin() + 2);
  }
  const bool is_twice = words.at(0) == "twice";
  if (words.at(0) == "unwatched") options.local.watcher = mews::Watcher::none;
  if (is_twice || words.at(0) == "unwatched") words.erase(words.begin());
  if (words.at(0) == "exit_unattached") return 3;
  auto session = mews::Session::attach(options);
  if (!session) {
    std::fprintf(stderr, "role_plugin: %s\n", session.error().message().c_str());
    return 100 + static_cast<int>(session.error().code());
  }
  if (is_twice && outcome(mews::Session::attach(options)) != "no_such_arena") return 98;
  if (const auto code = play_grim(*session, words)) return *code;
  return play(session->channel(), words);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(Words(argv + 1, argv + argc));
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "role_plugin: %s\n", failure.what());
    return 99;
  }
}
