// SPDX-License-Identifier: MIT
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <future>

#include "../support/catch.hpp"
#include "../support/random.hpp"
#include "mews/os/wake.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

/// What `call` returned. It is a call that never blocks, or has a deadline of its own: one that
/// does not return ends the program, as there is no way to go on.
template <class Call>
auto returned(const char* what, Call&& call) {
  auto result = std::async(std::launch::async, std::forward<Call>(call));
  if (result.wait_for(kPatience) != std::future_status::ready) {
    std::printf("%s does not return\n", what);
    std::fflush(stdout);
    std::_Exit(1);
  }
  return result.get();
}

/// A host with a plugin that has spoilt what it shares with it.
struct Jam {
  explicit Jam(const std::string& how)
      : host(must(mews::Session::create(small_arena()))),
        plugin(must(host.spawn("jam", {MEWS_TEST_BIN_DIR "/jam_plugin", how}))) {
    must(plugin.channel().receive(kPatience));
    must(plugin.channel().receive(kPatience));
  }
  mews::Session host;
  mews::Plugin plugin;
};

bool is_readable(int fd) {
  pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
  return ::poll(&entry, 1, 0) == 1 && (entry.revents & POLLIN) != 0;
}

short events_of(int fd) {
  pollfd entry{.fd = fd, .events = 0, .revents = 0};
  return ::poll(&entry, 1, 0) == 1 ? entry.revents : short{0};
}

}  // namespace

TEST_CASE("wake: a plugin that makes its descriptors blocking and full does not block arm_event") {
  Jam jam("arm");
  auto& channel = jam.plugin.channel();
  for (int i = 0; i < 3; ++i)
    CHECK(outcome(returned("arm_event", [&] { return channel.arm_event(); })) == "ok");
}

TEST_CASE("wake: a plugin that makes its descriptors blocking and full does not block try_send") {
  Jam jam("send");
  auto& channel = jam.plugin.channel();
  const auto said = returned("try_send", [&] {
    for (;;) {
      auto sent = channel.try_send(bytes_of("x"));
      if (!sent) return outcome(sent);
      std::this_thread::sleep_for(2ms);  // until its event loop is armed again
    }
  });
  CHECK(said == "would_block");
}

TEST_CASE("wake: a dead plugin that had spoilt its descriptors is taken back, and others go on") {
  Jam jam("die");
  REQUIRE(returned("wait_exit", [&] { return jam.plugin.wait_exit(kPatience); }));
  CHECK(outcome(returned("connect", [&] { return jam.host.connect("next"); })) == "ok");
  const auto report = returned("shutdown", [&] { return jam.host.shutdown(kPatience); });
  CHECK(must(report).is_clean());
}

TEST_CASE("wake: each end's descriptor is readable from a signal to the drain") {
  auto pair = must(mews::os::make_wake_pair());
  const auto plugin = mews::os::plugin_wake_end(std::move(pair.plugin));
  const auto& host = pair.host;
  for (int i = 0; i < 3; ++i) {
    CHECK_FALSE((is_readable(host->event_fd()) || is_readable(plugin->event_fd())));
    host->signal_other();
    host->signal_other();
    CHECK((is_readable(plugin->event_fd()) && !is_readable(host->event_fd())));
    plugin->drain();
    plugin->signal_other();
    plugin->signal_other();
    CHECK((is_readable(host->event_fd()) && !is_readable(plugin->event_fd())));
    host->drain();
    host->signal_own();
    CHECK(is_readable(host->event_fd()));
    host->drain();
  }
  plugin->signal_own();
  plugin->drain();
  CHECK(is_readable(plugin->event_fd()));
}

TEST_CASE("wake: thousands of signals that nobody drains block neither end") {
  auto pair = must(mews::os::make_wake_pair());
  const auto plugin = mews::os::plugin_wake_end(std::move(pair.plugin));
  for (int i = 0; i < 5'000; ++i) {
    pair.host->signal_other();
    plugin->signal_other();
  }
  CHECK((is_readable(pair.host->event_fd()) && is_readable(plugin->event_fd())));
  plugin->drain();
  CHECK_FALSE(is_readable(plugin->event_fd()));
}

TEST_CASE("wake: an end hangs up once all copies of the other are closed, and not before") {
  const bool is_host_first = GENERATE(false, true);
  auto pair = must(mews::os::make_wake_pair());
  auto copy = must(mews::os::duplicate(pair.plugin.stream.get()));
  auto plugin = mews::os::plugin_wake_end(std::move(pair.plugin));
  auto& host = pair.host;
  CHECK((events_of(host->hang_up_fd()) & POLLHUP) == 0);
  CHECK((events_of(plugin->hang_up_fd()) & POLLHUP) == 0);
  if (is_host_first) {
    host.reset();
    CHECK((events_of(plugin->hang_up_fd()) & POLLHUP) != 0);
    CHECK(is_readable(plugin->event_fd()));
    return;
  }
  plugin.reset();
  CHECK((events_of(host->hang_up_fd()) & POLLHUP) == 0);
  copy.reset();
  CHECK((events_of(host->hang_up_fd()) & POLLHUP) != 0);
  CHECK_FALSE(is_readable(host->event_fd()));  // not before the end has been seen to
}
