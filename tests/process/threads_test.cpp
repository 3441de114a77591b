// SPDX-License-Identifier: MIT
#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/random.hpp"
#include "mews/mem/arena.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

/// The arena that the host has under `name`, once more.
mews::mem::Arena second_view(const std::string& name) {
  return must(mews::mem::Arena::attach(must(mews::os::MemoryFile::open_named("mews-" + name)), 1s));
}

mews::CreateOptions named(mews::CreateOptions options) {
  options.name = unique_name("threads");
  options.backing = mews::Backing::named;
  return options;
}

/// Waits until somebody is about to sleep at this bell. Who does has the role, and keeps it until
/// the bell is rung. Looked at from outside: a call on the channel might take the role itself.
bool eventually_armed(const mews::base::Atomic<std::uint32_t>& bell) {
  // Relaxed: nothing else is read by it.
  return eventually([&] { return bell.load(std::memory_order_relaxed) != 0; });
}

}  // namespace

TEST_CASE("threads: a second receiver is told so while the first one waits") {
  const auto options = named({});
  auto host = must(mews::Session::create(options));
  auto [plugin, guest] = must(host.connect("idle"));
  const auto arena = second_view(options.name);
  auto& channel = plugin.channel();
  std::string first;
  std::thread waiter([&] { first = outcome(channel.receive(kPatience)); });
  CHECK(eventually_armed(arena.lane(mews::LaneId{1}).data_bell));
  CHECK(outcome(channel.try_receive()) == "concurrent_use");
  CHECK(outcome(channel.receive(kPatience)) == "concurrent_use");
  CHECK(outcome(channel.try_receive_batch([](const mews::MessageView&) {}, 1)) == "concurrent_use");
  CHECK(outcome(channel.arm_event()) == "concurrent_use");
  CHECK(outcome(channel.send(bytes_of("sending is another role"))) == "ok");
  must(guest.channel().send(bytes_of("for the first")));
  waiter.join();
  CHECK(first == "ok");
  CHECK(outcome(channel.try_receive()) == "would_block");
}

TEST_CASE("threads: a second sender is told so while the first one waits for room") {
  const auto options = named(small_arena());
  auto host = must(mews::Session::create(options));
  auto [plugin, guest] = must(host.connect("idle"));
  const auto arena = second_view(options.name);
  auto& channel = plugin.channel();
  int taken = 0;
  while (channel.try_send(bytes_of("x")))
    ++taken;
  std::string first;
  std::thread waiter([&] { first = outcome(channel.send(bytes_of("last"), {}, kPatience)); });
  CHECK(eventually_armed(arena.lane(mews::LaneId{0}).space_bell));
  CHECK(outcome(channel.try_send(bytes_of("y"))) == "concurrent_use");
  auto loan = must(channel.loan(5000));
  CHECK(outcome(channel.send(std::move(loan), {}, kPatience)) == "concurrent_use");
  CHECK(loan.is_valid());
  CHECK(outcome(channel.close()) == "concurrent_use");
  CHECK(outcome(channel.try_receive()) == "would_block");
  for (int i = 0; i < taken; ++i)
    must(guest.channel().receive(kPatience));
  waiter.join();
  CHECK(first == "ok");
  CHECK(must(guest.channel().receive(kPatience)).text() == "last");
}

TEST_CASE("threads: two senders and two receivers at once lose nothing and get nothing twice") {
  auto host = must(mews::Session::create());
  auto [plugin, guest] = must(host.connect("other"));
  const auto count = mews_test::scaled(20'000);
  std::atomic<std::uint64_t> next{0};
  std::atomic<std::uint64_t> received{0};
  std::vector<std::atomic<int>> seen(count);
  std::atomic<int> wrong{0};
  const auto send = [&, &channel = plugin.channel()] {
    for (auto i = next.fetch_add(1); i < count && wrong == 0; i = next.fetch_add(1)) {
      mews::Result<void> sent;
      do {
        sent = channel.send(std::as_bytes(std::span(&i, 1)), {}, kPatience);
      } while (!sent && sent.error().code() == mews::ErrorCode::concurrent_use);
      if (!sent) ++wrong;
    }
  };
  const auto receive = [&, &channel = guest.channel()] {
    while (received.load() < count && wrong == 0) {
      const auto message = channel.receive(1ms);
      if (message) {
        std::uint64_t i = count;
        if (message->size() == sizeof i) std::memcpy(&i, message->bytes().data(), sizeof i);
        if (i < count) ++seen[i];
        ++received;
      } else if (message.error().code() != mews::ErrorCode::concurrent_use &&
                 message.error().code() != mews::ErrorCode::timed_out) {
        ++wrong;
      }
    }
  };
  std::thread threads[] = {std::thread(send), std::thread(send), std::thread(receive),
                           std::thread(receive)};
  for (auto& thread : threads)
    thread.join();
  CHECK(wrong.load() == 0);
  CHECK(std::all_of(seen.begin(), seen.end(), [](const auto& n) { return n.load() == 1; }));
}

TEST_CASE("threads: a shared sender takes eight threads, each in its own order") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  constexpr std::uint32_t kThreads = 8;
  const auto count = mews_test::scaled(2'000);
  Site site(where, {"echo"});
  auto sender = site.channel().shared();
  std::vector<std::string> failures(kThreads);
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&failures, sender, t, count]() mutable {
      for (std::uint64_t i = 0; i < count && failures[t].empty(); ++i) {
        auto loan = sender.loan(mixed_size(i), kPatience);
        if (!loan) {
          failures[t] = loan.error().message();
          break;
        }
        fill(loan->bytes(), i);
        const auto sent =
            sender.send(std::move(*loan), {.type = 100 + t, .correlation = i}, kPatience);
        if (!sent) failures[t] = sent.error().message();
      }
    });
  }
  std::map<std::uint32_t, std::uint64_t> next;
  bool is_right = true;
  for (std::uint64_t i = 0; i < kThreads * count && is_right; ++i) {
    const auto message = site.channel().receive(kPatience);
    is_right = message && message->correlation() == next[message->type()]++ &&
               is_filled(message->bytes(), message->correlation());
  }
  for (auto& thread : threads)
    thread.join();
  CHECK(is_right);
  CHECK(next.size() == kThreads);
  for (const auto& failure : failures)
    CHECK(failure.empty());
}

TEST_CASE("threads: a channel is handed from thread to thread, each using it alone") {
  const auto where = GENERATE(Where::one_process, Where::two_processes);
  Site site(where, {"echo"});
  std::vector<std::string> results(40);
  for (std::size_t i = 0; i < results.size(); ++i) {
    std::thread([&] {
      for (int n = 0; n < 30 && results[i].empty(); ++n) {
        const auto result = site.round_trip(700 * i, {.type = kForward, .correlation = i});
        if (result != "the same") results[i] = result;
      }
    }).join();
    // A message received by one thread is dropped, and a loan made by one is sent, by another.
    CHECK(site.round_trip(700) == "the same");
  }
  for (const auto& result : results)
    CHECK(result.empty());
}

TEST_CASE("threads: a visitor that receives from its own channel is told so, and nothing is lost") {
  auto host = must(mews::Session::create());
  auto [plugin, guest] = must(host.connect("other"));
  // Often enough for the role to have got used to this thread.
  for (std::uint64_t i = 0; i < 50; ++i) {
    must(plugin.channel().send(bytes_of("first"), {.type = 0, .correlation = i}));
    must(plugin.channel().send(bytes_of("second"), {.type = 0, .correlation = i}));
    std::string inner;
    std::string seen;
    const auto visit = [&, &guest = guest](const mews::MessageView& view) {
      inner = outcome(guest.channel().try_receive());
      seen += std::to_string(view.bytes.size()) + " ";
    };
    CHECK(must(guest.channel().try_receive_batch(visit, 10)) == 2);
    CHECK(inner == "concurrent_use");
    CHECK(seen == "5 6 ");
  }
}
