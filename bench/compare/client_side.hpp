// SPDX-License-Identifier: MIT
#pragma once

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "compare/crew.hpp"
#include "compare/font.hpp"
#include "compare/job.hpp"
#include "compare/payload.hpp"
#include "compare/transport.hpp"
#include "compare/usage.hpp"
#include "support/case.hpp"
#include "support/cpu.hpp"

namespace mews::bench::compare {

[[nodiscard]] inline std::uint64_t ticks_of(double seconds) {
  return static_cast<std::uint64_t>(seconds * 1e9 / ns_per_tick());
}
[[nodiscard]] inline double seconds_of(std::uint64_t count) {
  return static_cast<double>(count) * ns_per_tick() * 1e-9;
}

/// So many messages between two looks at the clock, which costs as much as a small message.
[[nodiscard]] inline std::uint64_t stride_of(std::size_t bytes) {
  return bytes <= 1024 ? 64 : 1;
}

/// One client's process, from its start to its end.
template <Transport T>
class ClientSide {
 public:
  ClientSide(T& transport, unsigned nth, const Job& job, Board& board)
      : job_(job), board_(board), mine_(board.clients[nth]), nth_(nth) {
    const auto touched = [&](std::size_t bytes) { return std::min(job.touched_bytes, bytes); };
    asked_ = touched(job.setup.request_bytes);
    told_ = touched(job.setup.reply_bytes);
    unsigned cpus = 0;
    {
      const Unpinned here;
      cpu_set_t set;
      CPU_ZERO(&set);
      require(::sched_getaffinity(0, sizeof set, &set) == 0, "sched_getaffinity");
      cpus = static_cast<unsigned>(CPU_COUNT(&set));
      end_ = std::make_unique<typename T::Client>(transport, nth);
    }
    pin_to_nth_cpu(1 + nth % (cpus - 1));
  }

  void run() {
    static_cast<void>(ns_per_tick());  // measured at its first use
    if (job_.work == Work::font) prepare_font();
    report_ready(board_);
    const auto cpu_before = cpu_seconds();
    const auto begin = board_.begin_ticks;
    warm_ = begin + ticks_of(job_.seconds / 5);
    end_ticks_ = begin + ticks_of(job_.seconds);
    work();
    mine_.cpu_seconds = cpu_seconds() - cpu_before;
    report_done(board_);
    if constexpr (Closing<typename T::Client>) end_->close();
    static_cast<void>(end_.release());
  }

 private:
  void work() {
    switch (job_.work) {
      case Work::exchange:
        return exchange();
      case Work::stream:
        return stream();
      case Work::paced:
        return pace();
      case Work::idle:
        return idle();
      case Work::font:
        return exchange_font();
      case Work::killed:
        return be_killed();
    }
  }

  void send(std::uint64_t number) {
    write_payload(end_->claim(), number == kBye ? 8 : asked_, number);
    end_->send();
  }

  void exchange() {
    std::uint64_t number = 0;
    std::uint64_t before_warm = 0;
    auto before = ticks();
    for (;;) {
      if (job_.is_rested) before = rest();
      send(++number);
      const auto reply = end_->receive();
      require(reply.size() == job_.setup.reply_bytes, "a reply of another size arrived");
      check_payload(reply, told_, number);
      end_->release();
      const auto now = ticks();
      mine_.durations.add(now - before);
      before = now;
      if (now < warm_) before_warm = number;
      if (now >= end_ticks_ || number >= job_.most_messages) break;
    }
    mine_.messages = number;
    mine_.counted_messages = number - before_warm;
    send(kBye);
  }

  /// The host falls asleep meanwhile.
  static std::uint64_t rest() {
    const auto end = ticks() + ticks_of(std::chrono::duration<double>(kRest).count());
    auto now = ticks();
    while (now < end)
      now = ticks();
    return now;
  }

  void stream() {
    const auto stride = stride_of(job_.setup.request_bytes);
    std::uint64_t number = 0;
    do {
      send(++number);
    } while (number < job_.most_messages && (number % stride != 0 || ticks() < end_ticks_));
    mine_.messages = number;
    send(kBye);
  }

  void pace() {
    timespec at{};
    ::clock_gettime(CLOCK_MONOTONIC, &at);
    const auto pause_ns = static_cast<long>(job_.pause_seconds * 1e9);
    std::uint64_t number = 0;
    do {
      at.tv_nsec += pause_ns;
      if (at.tv_nsec >= 1'000'000'000) {
        at.tv_nsec -= 1'000'000'000;
        ++at.tv_sec;
      }
      ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);
      send(++number);
    } while (number < job_.most_messages && ticks() < end_ticks_);
    mine_.messages = number;
    send(kBye);
  }

  void idle() {
    if (nth_ == 0) {
      ::usleep(static_cast<useconds_t>(job_.seconds * 1e6));
      send(kBye);
    }
    require(number_of(end_->receive()) == kBye, "an idle client got a message");
    end_->release();
  }

  void prepare_font() {
    decompressed_.resize(job_.setup.reply_bytes);
    decompress_font(std::as_bytes(std::span(*job_.font)), decompressed_);
  }

  void exchange_font() {
    std::uint64_t number = 0;
    do {
      const auto before = ticks();
      const auto request = end_->claim();
      std::memcpy(request.data(), job_.font->data(), request.size());
      end_->send();
      const auto reply = end_->receive();
      const auto sum = sum_all(reply);
      asm volatile("" : : "r"(sum));
      const auto whole = ticks() - before;
      // What the messages cost, beside the host's own work.
      const auto inside = board_.inside_ticks.load(std::memory_order_relaxed);
      mine_.durations.add(whole - std::min(whole, inside));
      require(std::ranges::equal(reply, decompressed_), "a font arrived changed");
      end_->release();
    } while (++number < job_.most_messages && ticks() < end_ticks_);
    mine_.messages = number;
    send(kBye);
  }

  void be_killed() {
    send(nth_ + 1);
    write_payload(end_->claim(), asked_, nth_);
  }

  const Job& job_;
  Board& board_;
  Board::Client& mine_;
  unsigned nth_;
  std::size_t asked_ = 0;
  std::size_t told_ = 0;
  std::uint64_t warm_ = 0;
  std::uint64_t end_ticks_ = 0;
  std::unique_ptr<typename T::Client> end_;
  std::vector<std::byte> decompressed_;
};

}  // namespace mews::bench::compare
