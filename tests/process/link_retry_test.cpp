// SPDX-License-Identifier: MIT
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "link_support.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A host, a plugin that is started again, and a link that follows it.
struct Followed {
  explicit Followed(mews::Restart restart = mews::Restart::on_crash,
                    std::chrono::nanoseconds kill_after = {})
      : host(must(mews::Session::create())),
        plugin(must(host.spawn("fonts", {MEWS_TEST_BIN_DIR "/link_plugin"},
                               {.restart = restart, .restart_limit = mews::kUnlimitedRestarts}))),
        link(must(mews::Link::over(plugin, {.types = kLinkTypes, .kill_after = kill_after}))) {}

  mews::Session host;
  mews::Plugin plugin;
  mews::Link link;
};

/// A file that is not there, and will not be there afterwards.
class Marker {
 public:
  Marker() : path_(std::filesystem::temp_directory_path() / unique_name("mews-link-marker")) {
    std::filesystem::remove(path_);
  }
  Marker(const Marker&) = delete;
  Marker& operator=(const Marker&) = delete;
  ~Marker() { std::filesystem::remove(path_); }
  [[nodiscard]] std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("link, retry: a link goes on with its plugin's next process") {
  Followed site;
  for (int round = 0; round < 5; ++round) {
    CHECK(text_of(site.link.call("x", {.type = kEcho}, kPatience)) == "x");
    const auto died = site.link.call("", {.type = kDie}, kPatience);
    REQUIRE(outcome(died) == "peer_died");
    CHECK(died.error().was_started());
  }
  CHECK(text_of(site.link.call("x", {.type = kEcho}, kPatience)) == "x");
  CHECK(site.host.stats().is_all_free());
}

TEST_CASE("link, retry: what was not begun is given to the next process, what was is not") {
  Followed site;
  auto begun = must(site.link.start("", {.type = kHang}, mews::forever));
  std::vector<mews::PendingReply> waiting;
  for (int i = 0; i < 5; ++i) {
    const auto text = std::string(i % 2 == 0 ? 10 : 3000, static_cast<char>('a' + i));
    waiting.push_back(must(site.link.start(
        text, {.type = kForwardBack, .retry = mews::Retry::not_started}, kPatience)));
  }
  auto never = must(site.link.start("never", {.type = kEcho}, kPatience));
  CHECK(outcome(begun.wait(50ms)) == "timed_out");
  must(site.plugin.kill(SIGKILL));
  const auto first = begun.get();
  REQUIRE(outcome(first) == "peer_died");
  CHECK(first.error().was_started());
  for (int i = 0; i < 5; ++i) {
    const auto text = std::string(i % 2 == 0 ? 10 : 3000, static_cast<char>('a' + i));
    CHECK(text_of(waiting[static_cast<std::size_t>(i)].get()) == text);
  }
  const auto last = never.get();
  REQUIRE(outcome(last) == "peer_died");
  CHECK(!last.error().was_started());
}

TEST_CASE("link, retry: what may run twice ends with the right reply from the next process") {
  Followed site;
  SECTION("a call") {
    const Marker marker;
    const mews::CallOptions options{.type = kDieFirst, .retry = mews::Retry::always};
    CHECK(text_of(site.link.call(marker.path(), options, kPatience)) == marker.path());
  }
  SECTION("a call with a loan, which is kept") {
    const Marker marker;
    auto loan = must(site.link.loan(marker.path().size()));
    const auto text = marker.path();
    const auto path = bytes_of(text);
    std::copy(path.begin(), path.end(), loan.bytes().begin());
    const mews::CallOptions options{.type = kDieFirst, .retry = mews::Retry::always};
    CHECK(text_of(site.link.call(std::move(loan), options, kPatience)) == marker.path());
  }
  SECTION("a call that was started") {
    const Marker marker;
    auto pending = must(site.link.start(
        marker.path(), {.type = kDieFirst, .retry = mews::Retry::always}, kPatience));
    CHECK(text_of(pending.get()) == marker.path());
  }
  SECTION("never what must not run twice") {
    const Marker marker;
    const mews::CallOptions options{.type = kDieFirst, .retry = mews::Retry::not_started};
    const auto reply = site.link.call(marker.path(), options, kPatience);
    REQUIRE(outcome(reply) == "peer_died");
    CHECK(reply.error().was_started());
  }
  CHECK(site.host.stats().is_all_free());
}

TEST_CASE("link, retry: without a next process the error says how the last one died, and why") {
  Followed site(mews::Restart::never);
  const auto reply = site.link.call("", {.type = kDie, .retry = mews::Retry::always}, kPatience);
  REQUIRE(outcome(reply) == "peer_died");
  CHECK(reply.error().was_started());
  CHECK_THAT(reply.error().message(), ContainsSubstring("signal 9"));
  CHECK_THAT(reply.error().message(), ContainsSubstring("no next process"));
  CHECK(outcome(site.link.call("x", {}, kPatience)) == "peer_died");
  CHECK(outcome(site.link.renew(kPatience)) == "peer_died");
}

TEST_CASE("link, retry: a wait for the next process ends at the deadline, or by a stop") {
  mews::PluginOptions options{.restart = mews::Restart::on_crash, .restart_delay = 60s};
  options.restart_delay_limit = 60s;
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("fonts", {MEWS_TEST_BIN_DIR "/link_plugin"}, options));
  auto link = must(mews::Link::over(plugin));
  must(plugin.kill(SIGKILL));
  must(plugin.wait_exit(kPatience));
  CHECK(outcome(link.call("x", {.retry = mews::Retry::always}, 50ms)) == "peer_died");
  std::stop_source source;
  std::thread stopper([&source] {
    std::this_thread::sleep_for(20ms);
    source.request_stop();
  });
  CHECK(outcome(link.renew(mews::forever, source.get_token())) == "cancelled");
  stopper.join();
}

TEST_CASE("link, rule 7: a process that does not answer is killed, and the next one serves") {
  Followed site(mews::Restart::on_crash, 50ms);
  CHECK(text_of(site.link.call("x", {.type = kEcho}, kPatience)) == "x");
  // One that answers late is not.
  CHECK(outcome(site.link.call("20", {.type = kSleepEcho}, 5ms)) == "timed_out");
  std::this_thread::sleep_for(100ms);
  CHECK(site.plugin.is_alive());
  CHECK(outcome(site.link.call("", {.type = kIgnore}, 20ms)) == "timed_out");
  const auto exit = must(site.plugin.wait_exit(kPatience));
  CHECK(exit.is_signal);
  CHECK(exit.number == SIGKILL);
  CHECK(text_of(site.link.call("y", {.type = kEcho}, kPatience)) == "y");
}

TEST_CASE("link, retry: a thread that accepts goes on with the next process") {
  Followed site;
  std::stop_source stop;
  std::thread server([&] { (void)site.link.serve(answer, mews::forever, stop.get_token()); });
  for (int round = 0; round < 3; ++round) {
    CHECK(text_of(site.link.call("back", {.type = kCallBack}, kPatience)) == "back");
    (void)site.link.call("", {.type = kDie}, kPatience);
  }
  CHECK(text_of(site.link.call("back", {.type = kCallBack}, kPatience)) == "back");
  stop.request_stop();
  server.join();
}
