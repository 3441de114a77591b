// SPDX-License-Identifier: MIT
#include "asio_support.hpp"

#if MEWS_ASIO_HAS_CANCELLATION
#if MEWS_ASIO_IS_BOOST
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#else
#include <asio/bind_cancellation_slot.hpp>
#include <asio/cancellation_signal.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#endif

#include <string>
#include <vector>

using namespace asio_test;

namespace {

struct Cancelled {
  void call(net::cancellation_signal& by) {
    link.async_call("x", {.type = kEcho}, mews::forever,
                    net::bind_cancellation_slot(by.slot(), told.note()));
  }
  void run() {
    context.restart();
    context.run();
  }
  void poll() {
    context.restart();
    context.poll();
  }
  LinkPair pair{{}, {.credits = 1, .types = kLinkTypes}};
  net::io_context context;
  mews::AsyncLink link{context.get_executor(), pair.here()};
  net::cancellation_signal signal;
  Told told;
  const std::vector<std::string> cancelled{"cancelled"};
};

}  // namespace

TEST_CASE("asio: a slot cancels a call that has not begun") {
  Cancelled test;
  test.call(test.signal);
  test.signal.emit(net::cancellation_type::terminal);
  CHECK(test.told.texts.empty());
  test.run();
  CHECK(test.told.texts == test.cancelled);
}

TEST_CASE("asio: a slot cancels a call that waits for a credit, and that alone") {
  Cancelled test;
  net::cancellation_signal others;
  test.call(others);
  test.call(test.signal);
  test.poll();
  test.signal.emit(net::cancellation_type::total);
  test.poll();
  CHECK(test.told.texts == test.cancelled);
  CHECK(test.pair.here().open_calls() == 1);
  test.pair.serve();
  test.run();
  CHECK(test.told.texts.back() == "x");
}

TEST_CASE("asio: a slot cancels a call that was sent, and the other end learns it") {
  Cancelled test;
  test.call(test.signal);
  test.poll();
  auto request = must(test.pair.there().try_accept());
  CHECK(!request.is_cancelled());
  test.signal.emit(net::cancellation_type::partial);
  test.run();
  CHECK(test.told.texts == test.cancelled);
  CHECK(request.is_cancelled());
}

TEST_CASE("asio: a slot is too late for a reply that was taken in, and harmless afterwards") {
  Cancelled test;
  test.call(test.signal);
  test.poll();
  must(must(test.pair.there().try_accept()).reply("reply"));
  SECTION("which has come, but was not taken in") {
    test.signal.emit(net::cancellation_type::terminal);
    test.run();
    CHECK(test.told.texts.size() == 1);
  }
  SECTION("whose handler was not called yet") {
    while (test.context.run_one_for(1ms) > 0 && test.pair.here().open_calls() > 0) {
    }
    test.signal.emit(net::cancellation_type::terminal);
    test.run();
    CHECK(test.told.texts == std::vector<std::string>{"reply"});
  }
  SECTION("whose handler was called") {
    test.run();
    test.signal.emit(net::cancellation_type::terminal);
    test.poll();
    CHECK(test.told.texts == std::vector<std::string>{"reply"});
  }
  CHECK(eventually([&] {
    (void)test.pair.here().dispatch();
    return test.pair.here().open_calls() == 0;
  }));
}

TEST_CASE("asio: a type of cancellation that is none does nothing") {
  Cancelled test;
  test.call(test.signal);
  test.poll();
  test.signal.emit(net::cancellation_type::none);
  test.pair.serve();
  test.run();
  CHECK(test.told.texts == std::vector<std::string>{"x"});
}

TEST_CASE("asio: a slot cancels accepts and receives") {
  Cancelled test;
  std::string accepted;
  test.link.async_accept(net::bind_cancellation_slot(
      test.signal.slot(),
      [&](const mews::Result<mews::Request>& why) { accepted = outcome(why); }));
  test.poll();
  CHECK(accepted.empty());
  test.signal.emit(net::cancellation_type::terminal);
  test.run();
  CHECK(accepted == "cancelled");
}

TEST_CASE("asio: a signal may outlive the link, and be emitted then") {
  net::cancellation_signal signal;
  Told told;
  {
    LinkPair pair;
    net::io_context context;
    mews::AsyncLink link(context.get_executor(), pair.here());
    link.async_call("x", {}, mews::forever,
                    net::bind_cancellation_slot(signal.slot(), told.note()));
    context.poll();
  }
  signal.emit(net::cancellation_type::terminal);
  CHECK(told.texts.empty());
}

TEST_CASE("asio: of two awaited calls the one that is slower is cancelled") {
  using namespace net::experimental::awaitable_operators;
  Cancelled test;
  LinkPair other;
  other.serve();
  mews::AsyncLink fast(test.context.get_executor(), other.here());
  std::size_t first = 2;
  const auto race = [&]() -> net::awaitable<void> {
    auto both = co_await (test.link.async_call("x", {.type = kHang}, mews::forever, kAwait) ||
                          fast.async_call("x", {.type = kEcho}, mews::forever, kAwait));
    first = both.index();
  };
  net::co_spawn(test.context, race, net::detached);
  test.run();
  CHECK(first == 1);
  CHECK(outcome(test.pair.there().try_accept()) == "would_block");
}

#endif
