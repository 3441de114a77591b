// SPDX-License-Identifier: MIT
#include <signal.h>

#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "mews/os/process.hpp"
#include "mews/os/spawn.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

enum class Waits { in_room, for_room };

/// One end of a channel that sends on until it may not; in a thread of its own.
class Sending {
 public:
  Sending(mews::Channel& channel, Waits waits) {
    if (waits == Waits::for_room) {
      while (channel.try_send(bytes_of("x"))) {
      }
    }
    thread_ = std::thread([this, &channel] {
      do {
        how_ = channel.send(bytes_of("x"), {}, mews::forever);
        std::this_thread::sleep_for(100us);
      } while (how_);
    });
  }
  Sending(const Sending&) = delete;
  Sending& operator=(const Sending&) = delete;
  ~Sending() {
    if (thread_.joinable()) thread_.join();
  }
  /// What ended it.
  [[nodiscard]] std::string outcome() {
    thread_.join();
    return process_test::outcome(how_);
  }

 private:
  mews::Result<void> how_;
  std::thread thread_;
};

struct Both {
  Both() : host(must(mews::Session::create(small_arena()))) {
    auto local = must(host->connect("guest"));
    plugin.emplace(std::move(local.first));
    guest.emplace(std::move(local.second));
  }
  std::optional<mews::Session> host;
  std::optional<mews::Plugin> plugin;
  std::optional<mews::Session> guest;
};

}  // namespace

TEST_CASE("leave: a plugin that ends its session and lives on is closed to the host's senders") {
  const auto waits = GENERATE(Waits::in_room, Waits::for_room);
  Both both;
  Sending sending(both.plugin->channel(), waits);
  both.guest.reset();
  CHECK(sending.outcome() == "closed");
  CHECK(outcome(both.plugin->channel().try_send(bytes_of("x"))) == "closed");
  auto loan = must(both.plugin->channel().loan(5'000));
  CHECK(outcome(both.plugin->channel().send(std::move(loan))) == "closed");
  CHECK(loan.is_valid());
}

TEST_CASE("leave: a plugin process that ends its session and lives on is closed to the host") {
  const auto waits = GENERATE(Waits::in_room, Waits::for_room);
  Site site(Where::two_processes, {"leave_on_request"}, small_arena());
  Sending sending(site.channel(), waits);
  // It leaves when it has received one, and lives until it is killed.
  CHECK(sending.outcome() == "closed");
  CHECK(outcome(site.channel().receive(kPatience)) == "closed");
  (void)site.plugin().kill(SIGKILL);
}

TEST_CASE("leave: a host that drops its handle is closed to the plugin's senders") {
  const auto waits = GENERATE(Waits::in_room, Waits::for_room);
  Both both;
  Sending sending(both.guest->channel(), waits);
  both.plugin.reset();
  CHECK(sending.outcome() == "closed");
  CHECK(outcome(both.guest->channel().try_send(bytes_of("x"))) == "closed");
}

TEST_CASE("leave: whoever holds the channel last ends it: handle, channel moved out, or sender") {
  const auto waits = GENERATE(Waits::in_room, Waits::for_room);
  Both both;
  std::optional<mews::Channel> moved_out(std::move(both.plugin->channel()));
  std::optional<mews::SharedSender> sender(moved_out->shared());
  both.plugin.reset();
  must(both.guest->channel().send(bytes_of("x")));
  CHECK(outcome(moved_out->receive(kPatience)) == "ok");
  moved_out.reset();
  must(sender->send(bytes_of("still there")));
  CHECK(must(both.guest->channel().receive(kPatience)).text() == "still there");
  must(both.guest->channel().send(bytes_of("x")));
  Sending sending(both.guest->channel(), waits);
  sender.reset();
  CHECK(sending.outcome() == "closed");
  CHECK(outcome(both.guest->channel().receive(kPatience)) == "closed");
}

TEST_CASE("leave: a host whose session ends is closed to a plugin's senders and lenders") {
  const auto* what = GENERATE("send", "fill", "loan");
  const bool is_early = GENERATE(false, true);  // it may be asleep by then, or not
  const auto address = "@" + unique_name("mews-test-leave");
  auto host = std::optional(must(mews::Session::create(small_arena())));
  must(host->listen(address));
  const auto child =
      must(mews::os::spawn({.arguments = command({"socket", address, "outlast", what}),
                            .environment = {},
                            .inherited_fds = {}}));
  {
    auto plugin = must(host->admit(kPatience));
    must(plugin.channel().receive(kPatience));
    if (!is_early) std::this_thread::sleep_for(50ms);
    const auto moved_out = std::optional(std::move(plugin.channel()));
    host.reset();
  }
  REQUIRE(mews::os::wait_for_exit(child.pidfd.get(), kPatience));
  CHECK(mews::os::reap(child.pidfd.get()).value().describe() == "exit code 0");
}

TEST_CASE("leave: a close is half a close: the other direction goes on, waiting senders too") {
  Both both;
  must(both.plugin->channel().close());
  CHECK(outcome(both.guest->channel().receive(kPatience)) == "closed");
  while (both.guest->channel().try_send(bytes_of("x"))) {
  }
  std::thread reader([&] {
    for (int i = 0; i < 200; ++i)
      (void)both.plugin->channel().receive(kPatience);
  });
  for (int i = 0; i < 150; ++i)
    must(both.guest->channel().send(bytes_of("y"), {}, kPatience));
  both.guest.reset();
  reader.join();
}

TEST_CASE("leave: what was sent before the reader left is taken back, and nothing is lost") {
  Both both;
  for (int i = 0; i < 4; ++i)
    must(both.plugin->channel().send(must(both.plugin->channel().loan(5'000))));
  for (int i = 0; i < 4; ++i)
    must(both.guest->channel().send(must(both.guest->channel().loan(5'000))));
  must(both.plugin->channel().receive(kPatience));
  both.guest.reset();
  for (int i = 0; i < 3; ++i)
    CHECK(outcome(both.plugin->channel().receive(kPatience)) == "ok");
  CHECK(outcome(both.plugin->channel().receive(kPatience)) == "closed");
  must(both.plugin->wait_exit(kPatience));
  both.plugin.reset();
  CHECK(both.host->stats().is_all_free());
}
