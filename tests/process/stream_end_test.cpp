// SPDX-License-Identifier: MIT
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "../support/random.hpp"
#include "stream_support.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;
using mews::ErrorCode;
using Texts = std::vector<std::string>;

namespace {

/// A host with a plugin in a process of its own.
struct StreamSite {
  explicit StreamSite(mews::Restart restart = mews::Restart::never)
      : host(must(mews::Session::create())),
        plugin(must(host.spawn("fonts", {MEWS_TEST_BIN_DIR "/link_plugin", "4"},
                               {.restart = restart, .restart_limit = mews::kUnlimitedRestarts}))),
        link(must(mews::Link::over(plugin, {.types = kLinkTypes}))) {}

  mews::Session host;
  mews::Plugin plugin;
  mews::Link link;
};

}  // namespace

TEST_CASE("stream, end: a reset by either end brings its code, after the pieces that came") {
  for (const bool is_by_opener : {true, false}) {
    INFO("by the opener: " << is_by_opener);
    LinkPair pair;
    auto streams = open_stream(pair);
    auto& one = is_by_opener ? streams.here : streams.there;
    auto& other = is_by_opener ? streams.there : streams.here;
    must(one.send("first", kPatience));
    must(one.send(std::string(5'000, 'x'), kPatience));
    must(other.send("never received", kPatience));
    one.reset(ErrorCode::permission_denied);
    one.reset(ErrorCode::failed);  // no effect
    CHECK(texts_of(other) == Texts{"first", std::string(5'000, 'x'), "permission_denied"});
    CHECK(outcome(other.send("x", kPatience)) == "permission_denied");
    CHECK(outcome(other.finish()) == "permission_denied");
    CHECK(outcome(other.wait_over(kPatience)) == "permission_denied");
    const auto own = one.send("x", kPatience);
    REQUIRE(outcome(own) == "permission_denied");
    CHECK_THAT(own.error().message(), ContainsSubstring("reset by this end"));
    CHECK(outcome(one.receive(kPatience)) == "permission_denied");
    other.reset();
    streams = Streams();
    CHECK(are_streams_back(pair));
    end_stream(open_stream(pair));
  }
}

TEST_CASE("stream, end: a stream that is dropped before its end is reset") {
  for (int part = 0; part < 4; ++part) {
    INFO("part " << part);
    LinkPair pair;
    auto streams = open_stream(pair);
    auto& one = part % 2 == 0 ? streams.here : streams.there;
    auto& other = part % 2 == 0 ? streams.there : streams.here;
    must(one.send("came", kPatience));
    // Finished by one end alone it is not over.
    if (part >= 2) must(other.finish());
    one = mews::Stream();
    CHECK(texts_of(other) == Texts{"came", "reset"});
    CHECK(outcome(other.wait_over(kPatience)) == "reset");
    other = mews::Stream();
    CHECK(are_streams_back(pair));
  }
}

TEST_CASE("stream, end: a reset ends the waits of this end's other threads, and of the other end") {
  for (const bool is_by_waiters : {true, false}) {
    INFO("by the end that waits: " << is_by_waiters);
    LinkPair pair;
    auto streams = open_stream(pair);
    while (streams.here.try_send("x")) {
    }
    std::string ended[3];
    std::vector<std::thread> threads;
    threads.emplace_back([&] { ended[0] = outcome(streams.here.send("y", mews::forever)); });
    threads.emplace_back([&] { ended[1] = outcome(streams.here.receive(mews::forever)); });
    threads.emplace_back([&] { ended[2] = outcome(streams.here.wait_over(mews::forever)); });
    std::this_thread::sleep_for(5ms);
    (is_by_waiters ? streams.here : streams.there).reset(ErrorCode::failed);
    for (auto& thread : threads)
      thread.join();
    for (const auto& end : ended)
      CHECK(end == "failed");
    streams = Streams();
    CHECK(are_streams_back(pair));
  }
}

TEST_CASE("stream, end: the link's end ends its streams, and the pieces that came are received") {
  LinkPair pair;
  auto [here, there] = open_stream(pair);
  auto unaccepted = must(pair.here().open("x", {}, kPatience));
  must(there.send("came", kPatience));
  SECTION("all of a link") {
    pair.end_plugin();
    CHECK(outcome(there.send("x", kPatience)) == "closed");
    CHECK(texts_of(here) == Texts{"came", "closed"});
    CHECK(outcome(unaccepted.wait_accepted(kPatience)) == "closed");
    CHECK(outcome(pair.here().open("x", {}, kPatience)) == "closed");
  }
  SECTION("the other way round") {
    must(here.send("left", kPatience));
    here = mews::Stream();
    unaccepted = mews::Stream();
    { const auto gone = std::move(pair.here()); }
    CHECK(texts_of(there) == Texts{"left", "reset"});
    CHECK(outcome(pair.there().open("x", {}, kPatience)) == "closed");
  }
}

TEST_CASE("stream, end: a process that dies leaves what it has sent, then peer_died") {
  StreamSite site;
  auto waiting = must(site.link.open("6", {.type = kStreamHang}, kPatience));
  must(waiting.wait_accepted(kPatience));
  auto stream = must(site.link.open("5", {.type = kStreamDie}, kPatience));
  auto texts = texts_of(stream);
  CHECK(texts == Texts{"0", "1", "2", "3", "4", "peer_died"});
  const auto after = stream.send("x", kPatience);
  REQUIRE(outcome(after) == "peer_died");
  CHECK_THAT(after.error().message(), ContainsSubstring("signal 9"));
  CHECK(after.error().was_started());
  CHECK(outcome(stream.finish()) == "peer_died");
  CHECK(outcome(stream.wait_over(kPatience)) == "peer_died");
  CHECK(outcome(waiting.receive(kPatience)) == "peer_died");
  CHECK(outcome(site.link.open("x", {}, kPatience)) == "peer_died");
  stream = mews::Stream();
  waiting = mews::Stream();
  CHECK(site.link.open_calls() == 0);
  CHECK(eventually([&] { return site.host.stats().is_all_free(); }));
}

TEST_CASE("stream, end: a link that follows its plugin opens on the next process") {
  StreamSite site(mews::Restart::on_crash);
  for (int round = 0; round < 3; ++round) {
    auto echo = must(site.link.open("x", {.type = kStreamEcho}, kPatience));
    must(echo.send("there and back", kPatience));
    CHECK(must(echo.receive(kPatience)).text() == "there and back");
    auto dying = must(site.link.open("1", {.type = kStreamDie}, kPatience));
    CHECK(texts_of(dying) == Texts{"0", "peer_died"});
    CHECK(outcome(echo.receive(kPatience)) == "peer_died");
  }
  auto echo = must(site.link.open("x", {.type = kStreamEcho}, kPatience));
  std::string error;
  std::thread sender([&] { error = send_pieces(echo, 1'000, 4); });
  CHECK(receive_pieces(echo, 1'000, 4).empty());
  sender.join();
  CHECK(error.empty());
  must(echo.wait_over(kPatience));
  echo = mews::Stream();
  CHECK(eventually([&] {
    (void)site.link.dispatch();
    return site.link.open_calls() == 0 && site.host.stats().is_all_free();
  }));
}

TEST_CASE("stream, end: in a forked child every call is wrong_process, and nothing happens") {
  LinkPair pair;
  auto [here, there] = open_stream(pair);
  const auto child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    int wrong = 0;
    wrong += outcome(here.send("x", 1s)) != "wrong_process";
    wrong += outcome(here.receive(1s)) != "wrong_process";
    wrong += outcome(here.try_receive()) != "wrong_process";
    wrong += outcome(here.finish()) != "wrong_process";
    wrong += outcome(here.loan(1'000)) != "wrong_process";
    wrong += outcome(here.wait_over(1s)) != "wrong_process";
    wrong += outcome(here.wait_accepted(1s)) != "wrong_process" ? 1 : 0;
    wrong += here.on_readable([] {});
    here.reset();
    { const auto dropped = std::move(there); }
    ::_exit(wrong);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  must(here.send("still open", kPatience));
  CHECK(must(there.receive(kPatience)).text() == "still open");
}

TEST_CASE("stream, end: streams that both ends reset at random leave nothing behind") {
  LinkPair pair;
  mews_test::Random random(mews_test::make_seed("stream_end_test"));
  const auto rounds = mews_test::scaled(3'000);
  std::atomic<int> wrong = 0;
  const auto use = [](mews::Stream& stream, std::uint64_t dice) {
    for (std::uint64_t i = 0; i < dice % 8; ++i)
      (void)stream.try_send(std::string(1 + dice % 700, 'x'));
    if (dice / 8 % 4 == 0) (void)stream.finish();
    if (dice / 32 % 3 == 0) stream.reset(ErrorCode::failed);
    for (std::uint64_t i = 0; i < dice / 128 % 4; ++i)
      (void)stream.try_receive();
  };
  const auto accept_all = [&](mews::Link link, std::uint64_t salt) {
    std::vector<mews::Stream> kept;
    for (std::uint64_t i = 0;; ++i) {
      auto request = link.accept(kPatience);
      if (!request || request->text() == "end") return;
      const auto dice = mixed(salt + i);
      if (dice % 16 == 0) continue;
      auto stream = request->accept_stream();
      if (!stream) {
        ++wrong;
        continue;
      }
      use(*stream, dice / 16);
      if (dice / 2048 % 2 == 0) kept.push_back(std::move(*stream));
      if (kept.size() > 3) kept.erase(kept.begin());
    }
  };
  const auto open_all = [&](mews::Link link, std::uint64_t salt) {
    std::vector<mews::Stream> open;
    for (std::uint64_t i = 0; i < rounds; ++i) {
      const auto dice = mixed(salt + i);
      while (open.size() >= 4)
        open.erase(open.begin() + static_cast<std::ptrdiff_t>(dice % open.size()));
      auto stream = link.open("x", {}, kPatience);
      if (!stream) {
        ++wrong;
        continue;
      }
      open.push_back(std::move(*stream));
      use(open[dice / 8 % open.size()], dice / 64);
    }
    open.clear();
    (void)link.call("end", {}, kPatience);
  };
  std::vector<std::thread> threads;
  const auto salt = random();
  threads.emplace_back(accept_all, pair.here(), salt);
  threads.emplace_back(accept_all, pair.there(), salt + 1'000'000);
  threads.emplace_back(open_all, pair.here(), salt + 2'000'000);
  threads.emplace_back(open_all, pair.there(), salt + 3'000'000);
  for (auto& thread : threads)
    thread.join();
  CHECK(wrong == 0);
  CHECK(are_streams_back(pair));
  end_stream(open_stream(pair));
}
