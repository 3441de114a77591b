// SPDX-License-Identifier: MIT
// Plays the role that its arguments name, as a plugin process. "socket ADDRESS ROLE..." and
// "name NAME ROLE..." join an arena that did not start it; "twice ROLE..." tries to attach once
// more and must fail; "both ROLE..." attaches by two threads at once, and one must fail; "starved
// ROLE..." attaches with ever more descriptors until it can; "unwatched ROLE..." has no watcher
// thread.
#include <errno.h>
#include <sys/resource.h>

#include <cstdio>
#include <future>

#include "dying_roles.hpp"
#include "roles.hpp"

namespace {

using namespace process_test;

/// Attaches as soon as the limit of descriptors lets it: each step of it is the one that fails.
mews::Result<mews::Session> attach_starved(const mews::AttachOptions& options) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  int failures = 0;
  for (limit.rlim_cur = 3; limit.rlim_cur < limit.rlim_max; ++limit.rlim_cur) {
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) throw std::runtime_error("no limit");
    auto session = mews::Session::attach(options);
    if (session && failures < 4) throw std::runtime_error("too few failures");
    if (session || session.error().os_errno() != EMFILE) return session;
    ++failures;
  }
  throw std::runtime_error("never");
}

mews::Result<mews::Session> attach_by_two(const mews::AttachOptions& options) {
  auto second = std::async(std::launch::async, [&] { return mews::Session::attach(options); });
  auto first = mews::Session::attach(options);
  auto other = second.get();
  if (first) std::swap(first, other);
  if (outcome(first) != "no_such_arena") throw std::runtime_error(outcome(first));
  return other;
}

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
  const bool is_starved = words[0] == "starved";
  const bool is_by_two = words[0] == "both";
  if (is_starved || is_by_two) words.erase(words.begin());
  auto session = is_starved  ? attach_starved(options)
                 : is_by_two ? attach_by_two(options)
                             : mews::Session::attach(options);
  if (!session) {
    std::fprintf(stderr, "role_plugin: %s\n", session.error().message().c_str());
    return 100 + static_cast<int>(session.error().code());
  }
  if (is_twice && outcome(mews::Session::attach(options)) != "no_such_arena") return 98;
  if (const auto code = play_dying(*session, words)) return *code;
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
