// SPDX-License-Identifier: MIT
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/longest_sleep.hpp"
#include "mews/mews.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"
#include "support/random.hpp"

// Stops that come at every moment of a wait, while what is waited for comes as well.
namespace {

using namespace mews_test;
using mews::ErrorCode;

mews::CreateOptions tiny_options() {
  // A wake-up that is lost must not be made up for.
  mews::detail::longest_sleep = std::chrono::hours(1);
  mews::CreateOptions options;
  options.name = "stops";
  options.size_classes = {{4096, 2}};
  options.reply_slabs = 0;
  options.fallback_classes = 0;
  options.ring_cells = 32;
  options.local.spin_limit = std::chrono::nanoseconds(0);
  return options;
}

/// One thread waits, round after round, each with a token of its own; another stops each.
class Rounds {
 public:
  explicit Rounds(std::uint64_t count) : count_(count) {}

  /// `wait(token)` says how it ended. The stop comes after a random number of steps.
  template <class Wait>
  void wait_in_each(Wait&& wait) {
    for (std::uint64_t round = 0; round < count_; ++round) {
      std::stop_source source;
      {
        const std::lock_guard lock(mutex_);
        source_ = source;
      }
      round_.store(round + 1, std::memory_order_release);
      const auto code = wait(source.get_token());
      if (code == ErrorCode::cancelled) {
        ++cancelled_;
      } else if (code) {
        note(*code);
      } else {
        ++served_;
      }
    }
    is_over_ = true;
  }
  void stop_each(std::uint64_t seed) {
    Random random(seed);
    for (std::uint64_t round = 1; round <= count_; ++round) {
      while (round_.load(std::memory_order_acquire) < round && !is_over_)
        std::this_thread::yield();
      for (auto spins = between(random, 0, 3'000); spins > 0; --spins) {
        std::atomic_signal_fence(std::memory_order_seq_cst);
      }
      std::stop_source source(std::nostopstate);
      {
        const std::lock_guard lock(mutex_);
        source = source_;
      }
      source.request_stop();
    }
  }

  [[nodiscard]] bool is_over() const noexcept { return is_over_; }
  [[nodiscard]] std::uint64_t cancelled() const noexcept { return cancelled_; }
  [[nodiscard]] std::uint64_t served() const noexcept { return served_; }
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  void note(ErrorCode code) {
    if (problem_.empty()) problem_ = std::string(to_string(code));
  }

  std::uint64_t count_;
  std::mutex mutex_;
  std::stop_source source_{std::nostopstate};
  std::atomic<std::uint64_t> round_{0};
  std::atomic<bool> is_over_{false};
  std::uint64_t cancelled_ = 0;
  std::uint64_t served_ = 0;
  std::string problem_;
};

template <class T>
std::optional<ErrorCode> code_of(const mews::Result<T>& result) {
  return result ? std::nullopt : std::optional(result.error().code());
}

}  // namespace

TEST_CASE("stop: each of many receives ends by its stop or its message, and no message is lost") {
  const auto seed = make_seed("stopped receives");
  auto host = value_or_throw(mews::Session::create(tiny_options()));
  auto [plugin, guest] = value_or_throw(host.connect("guest"));
  Rounds rounds(scaled(20'000));
  std::uint64_t sent = 0;
  std::thread sender([&, &channel = guest.channel()] {
    Random random(seed + 1);
    while (!rounds.is_over()) {
      if (channel.try_send(std::as_bytes(std::span("x", 1)), {.correlation = sent})) ++sent;
      for (auto spins = between(random, 0, 20'000); spins > 0; --spins) {
        std::atomic_signal_fence(std::memory_order_seq_cst);
      }
    }
  });
  std::thread stopper([&] { rounds.stop_each(seed); });
  std::uint64_t received = 0;
  bool is_in_order = true;
  const auto take = [&](const mews::Result<mews::Message>& message) {
    if (message) is_in_order = is_in_order && message->correlation() == received++;
    return code_of(message);
  };
  rounds.wait_in_each([&, &channel = plugin.channel()](const auto& stop) {
    return take(channel.receive(mews::forever, stop));
  });
  sender.join();
  stopper.join();
  while (!take(plugin.channel().try_receive())) {
  }
  std::printf("stopped receives: %llu by the stop, %llu by a message\n",
              static_cast<unsigned long long>(rounds.cancelled()),
              static_cast<unsigned long long>(rounds.served()));
  CHECK(rounds.problem().empty());
  CHECK(is_in_order);
  CHECK(received == sent);
}

TEST_CASE("stop: threads that send in turn and wait for slabs are stopped, and nothing is lost") {
  const auto seed = make_seed("stopped senders");
  auto host = value_or_throw(mews::Session::create(tiny_options()));
  auto [plugin, guest] = value_or_throw(host.connect("guest"));
  auto sender = plugin.channel().shared();
  constexpr std::size_t kThreads = 3;
  std::array<Rounds, kThreads> rounds{Rounds(scaled(4'000)), Rounds(scaled(4'000)),
                                      Rounds(scaled(4'000))};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, sender, i]() mutable {
      // Each needs one of two slabs, then its turn, then room.
      rounds[i].wait_in_each([&](const auto& stop) {
        auto loan = sender.loan(4096, mews::forever, stop);
        if (!loan) return code_of(loan);
        return code_of(sender.send(std::move(*loan), {}, mews::forever, stop));
      });
    });
    threads.emplace_back([&, i] { rounds[i].stop_each(seed + i); });
  }
  std::uint64_t received = 0;
  const auto is_over = [&] {
    return std::all_of(rounds.begin(), rounds.end(), [](const auto& r) { return r.is_over(); });
  };
  for (Random random(seed + 9); !is_over();) {
    while (guest.channel().try_receive())
      ++received;
    for (auto spins = between(random, 0, 20'000); spins > 0; --spins) {
      std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  }
  for (auto& thread : threads)
    thread.join();
  while (guest.channel().try_receive())
    ++received;
  std::uint64_t served = 0;
  std::uint64_t cancelled = 0;
  for (const auto& each : rounds) {
    CHECK(each.problem().empty());
    served += each.served();
    cancelled += each.cancelled();
  }
  std::printf("stopped senders: %llu by the stop, %llu sent\n",
              static_cast<unsigned long long>(cancelled), static_cast<unsigned long long>(served));
  CHECK(received == served);
  CHECK(host.stats().is_all_free());
}
