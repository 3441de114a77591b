// SPDX-License-Identifier: MIT
#include <errno.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <iterator>
#include <string>

#include "../support/catch.hpp"
#include "../unit/os_support.hpp"
#include "mews/os/socket.hpp"
#include "site.hpp"

using namespace process_test;

// UndefinedBehaviorSanitizer looks at types through a pipe, for which there is no descriptor here.
#if !defined(__SANITIZE_ADDRESS__)
namespace {

constexpr std::uint32_t kPlugins = 2;

std::ptrdiff_t descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

mews::CreateOptions narrow_host() {
  auto options = small_arena();
  options.max_plugins = kPlugins;
  options.local.watcher = mews::Watcher::none;
  return options;
}

/// Whether one can wait for it by its descriptor: a message makes it readable.
bool is_whole(mews::Channel& channel, mews::Channel& other) {
  if (channel.event_fd() < 0 || other.event_fd() < 0) return false;
  const auto is_armed = channel.arm_event();
  if (!is_armed || !*is_armed) return false;
  if (!other.send(bytes_of("x"))) return false;
  pollfd event{.fd = channel.event_fd(), .events = POLLIN, .revents = 0};
  return ::poll(&event, 1, 1000) == 1 && channel.try_receive().has_value();
}

/// Joins until it is let in, and echoes; for another process than the host's.
int join_and_echo(const std::string& address) {
  for (;;) {
    auto session = mews::Session::attach({.socket = address, .timeout = kPatience});
    if (session) return echo(session->channel());
    if (session.error().code() == mews::ErrorCode::no_such_arena) return 0;
  }
}

/// Calls `attempt(host)`, which returns "ok" or what is wrong with a success, or an errno's number,
/// with one descriptor more each time, until it is "ok". What is wrong, or nothing.
template <class Attempt>
std::string with_each_descriptor_missing(mews::Session& host, Attempt&& attempt) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const auto before = descriptors();
  const auto most = limit;
  int failures = 0;
  for (limit.rlim_cur = 3; limit.rlim_cur < most.rlim_max; ++limit.rlim_cur) {
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return "no limit";
    const auto said = attempt(host);
    if (::setrlimit(RLIMIT_NOFILE, &most) != 0) return "no limit";
    host.process_events();
    if (said == "ok") return failures < 4 ? "too few failures" : "";
    if (said != std::to_string(EMFILE)) return said;
    ++failures;
    if (!eventually([&] {
          host.process_events();
          return host.stats().plugins == 0 && descriptors() == before;
        })) {
      return std::to_string(descriptors() - before) + " descriptors more than before";
    }
  }
  return "never";
}

/// The exit code of a process that makes a host, listens at `address` and attempts.
template <class Attempt>
std::string in_a_child(const std::string& address, Attempt&& attempt) {
  os_test::Fork child([&] {
    auto host = must(mews::Session::create(narrow_host()));
    if (!address.empty()) must(host.listen(address));
    const auto wrong = with_each_descriptor_missing(host, attempt);
    if (!wrong.empty()) std::fprintf(stderr, "%s\n", wrong.c_str());
    if (!wrong.empty()) return 1;
    // All seats can be had, so none was lost.
    const bool are_there = eventually([&] {
      host.process_events();
      return host.connect("first") && host.connect("second");
    });
    return are_there ? 0 : 2;
  });
  return child.outcome();
}

}  // namespace

TEST_CASE("descriptors: connect gives a whole channel or an error, at every limit") {
  CHECK(in_a_child("", [](mews::Session& host) -> std::string {
          auto pair = host.connect("guest");
          if (!pair) return std::to_string(pair.error().os_errno());
          auto& [plugin, guest] = *pair;
          return is_whole(plugin.channel(), guest.channel()) &&
                         is_whole(guest.channel(), plugin.channel())
                     ? "ok"
                     : "half a channel";
        }) == "exit code 0");
}

TEST_CASE("descriptors: spawn gives a whole channel or an error, at every limit") {
  CHECK(in_a_child("", [](mews::Session& host) -> std::string {
          auto plugin = host.spawn("guest", command({"echo"}));
          if (!plugin) return std::to_string(plugin.error().os_errno());
          return plugin->channel().event_fd() >= 0 ? "ok" : "half a channel";
        }) == "exit code 0");
}

TEST_CASE("descriptors: admit gives a whole channel or an error, at every limit") {
  const auto address = "@" + unique_name("mews-test-descriptors");
  os_test::Fork joiner([&] {
    while (!mews::os::connect_unix(address, kPatience))
      std::this_thread::sleep_for(1ms);
    return join_and_echo(address);
  });
  CHECK(in_a_child(address, [](mews::Session& host) -> std::string {
          auto plugin = host.admit(kPatience);
          if (!plugin) return std::to_string(plugin.error().os_errno());
          auto& channel = plugin->channel();
          const auto is_armed = channel.arm_event();
          if (!is_armed || !*is_armed || !channel.send(bytes_of("x"))) return "no channel";
          pollfd event{.fd = channel.event_fd(), .events = POLLIN, .revents = 0};
          if (::poll(&event, 1, 10'000) != 1) return "half a channel";
          return channel.receive(kPatience) ? "ok" : "no echo";
        }) == "exit code 0");
  CHECK(joiner.outcome() == "exit code 0");
}
#endif
