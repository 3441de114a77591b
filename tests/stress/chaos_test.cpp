// SPDX-License-Identifier: MIT
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "stress/chaos_letter.hpp"
#include "stress/chaos_times.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"

namespace {

using namespace mews_test;
using Clock = std::chrono::steady_clock;
using mews::ErrorCode;

constexpr int kPlugins = 16;
constexpr int kThreads = 4;
constexpr std::chrono::seconds kStuck{20};

std::vector<mews::SizeClass> classes() {
  return {{1024, 256}, {4096, 128}, {16384, 64}, {65536, 64}, {262144, 48}, {1 << 20, 32}};
}

/// SIGUSR1: before the plugin was so far that it knew what that means.
bool is_one_of_ours(int signal_number) {
  return signal_number == SIGKILL || signal_number == SIGSEGV || signal_number == SIGUSR1;
}

/// One plugin through all its lives, and the host's end of the letters.
struct Seat {
  explicit Seat(std::uint64_t seed) : letters(seed) {}
  std::mutex mutex;  ///< of all but `killed_at`
  std::optional<mews::Plugin> plugin;
  chaos::Correspondent letters;
  std::uint64_t total = 0;  ///< letters of the lives before this one
  std::string problem;
  std::atomic<Clock::rep> killed_at{0};
};

class Chaos {
 public:
  explicit Chaos(std::uint64_t seed);

  /// Kills so many, one every 10 ms, while all write to each other.
  void run(std::uint64_t kills);
  /// Everybody goes home. What went wrong, or nothing.
  [[nodiscard]] std::string settle();

  [[nodiscard]] std::uint64_t letters() const;
  Times times;
  std::array<Footprint, 2> footprints;  ///< after the first third, and at the end

 private:
  void spawn(std::size_t index, std::uint64_t seed);
  void on_exit(Seat& seat, const mews::PluginExit& exit);
  void serve(std::size_t first);
  void serve_one(Seat& seat);
  [[nodiscard]] bool kill_one();
  [[nodiscard]] Footprint footprint() const;
  [[nodiscard]] std::string lend_everything();

  Random random_;
  mews::Session host_;
  std::vector<std::unique_ptr<Seat>> seats_;
  std::atomic<bool> is_over_{false};
  std::mutex odd_mutex_;
  std::string odd_exit_;
};

mews::Session make_host() {
  mews::CreateOptions options;
  options.name = "chaos";
  options.size_classes = classes();
  options.ring_cells = 128;
  options.max_plugins = 3 * kPlugins;
  return value_or_throw(mews::Session::create(options));
}

Chaos::Chaos(std::uint64_t seed) : random_(seed), host_(make_host()) {
  for (std::size_t i = 0; i < kPlugins; ++i) {
    seats_.push_back(std::make_unique<Seat>(random_()));
    spawn(i, random_());
  }
}

void Chaos::spawn(std::size_t index, std::uint64_t seed) {
  auto& seat = *seats_[index];
  mews::PluginOptions options;
  options.restart = mews::Restart::on_crash;
  options.restart_delay_limit = std::chrono::milliseconds(0);  // at once, however often
  // A sanitizer would make an exit of the signal.
  options.environment = {"ASAN_OPTIONS=handle_segv=0", "TSAN_OPTIONS=handle_segv=0"};
  options.on_exit = [this, &seat](const mews::PluginExit& exit) { on_exit(seat, exit); };
  seat.plugin.emplace(value_or_throw(
      host_.spawn("plugin-" + std::to_string(index),
                  {MEWS_TEST_BIN_DIR "/chaos_child", "traffic", std::to_string(seed)}, options)));
}

void Chaos::on_exit(Seat& seat, const mews::PluginExit& exit) {
  if (const auto since = seat.killed_at.exchange(0); since != 0) {
    times.add(Clock::now() - Clock::time_point(Clock::duration(since)));
  }
  const bool is_expected = exit.is_signal
                               ? is_one_of_ours(exit.number)
                               : exit.number == chaos::kEndedInABatch || exit.number == 0;
  if (is_expected) return;
  const std::lock_guard lock(odd_mutex_);
  odd_exit_ = exit.description;
}

// One thread of the host: a few plugins in turn, never waiting for one of them.
void Chaos::serve(std::size_t first) {
  while (!is_over_) {
    for (auto i = first; i < kPlugins; i += kThreads) {
      const std::lock_guard lock(seats_[i]->mutex);
      serve_one(*seats_[i]);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

void Chaos::serve_one(Seat& seat) {
  auto& channel = seat.plugin->channel();
  mews::Result<void> done;
  for (int i = 0; i < 8 && done; ++i)
    done = seat.letters.receive(channel, Clock::duration(0));
  if (!done && done.error().code() == ErrorCode::timed_out) done = seat.letters.send(channel);
  if (done) return;
  const auto code = done.error().code();
  if (code != ErrorCode::peer_died) {
    if (seat.problem.empty()) seat.problem = done.error().message();
    return;
  }
  // All that it had sent is received before its successor's turn comes.
  while (done || done.error().code() == ErrorCode::timed_out) {
    done = seat.letters.receive(channel, Clock::duration(0));
  }
  if (seat.plugin->renew(std::chrono::milliseconds(0))) {
    seat.total += seat.letters.received() + seat.letters.sent();
    seat.letters.begin_anew();
  }
}

bool Chaos::kill_one() {
  auto& seat = *seats_[between(random_, 0, kPlugins - 1)];
  const std::lock_guard lock(seat.mutex);
  if (!seat.plugin->is_alive() || seat.killed_at != 0) return false;
  const auto manner = between(random_, 0, 3);
  if (manner == 3) return seat.plugin->kill(SIGUSR1).has_value();  // exits in the middle of a batch
  if (manner == 2) {
    (void)seat.plugin->kill(SIGSTOP);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  seat.killed_at = Clock::now().time_since_epoch().count();
  if (!seat.plugin->is_alive()) {
    // It went by itself, and its exit may have been reported before that was noted.
    seat.killed_at = 0;
    return false;
  }
  return seat.plugin->kill(manner == 1 ? SIGSEGV : SIGKILL).has_value();
}

void Chaos::run(std::uint64_t kills) {
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i)
    threads.emplace_back([this, i] { serve(i); });
  for (std::uint64_t done = 0; done < kills;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (kill_one()) ++done;
    if (done == kills / 3) footprints[0] = footprint();
  }
  // Until all are back.
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  footprints[1] = footprint();
  is_over_ = true;
  for (auto& thread : threads)
    thread.join();
}

Footprint Chaos::footprint() const {
  auto print = Footprint::of_this_process();
  print.arena_bytes = host_.stats().arena_resident_bytes;
  return print;
}

std::string Chaos::settle() {
  std::string problem;
  const auto killed = host_.shutdown(kStuck);
  for (const auto& name : killed)
    problem += name + " did not go; ";
  for (auto& seat : seats_) {
    const std::lock_guard lock(seat->mutex);
    problem += seat->problem;
    for (mews::Result<void> done; done;) {
      done = seat->letters.receive(seat->plugin->channel(), kStuck);
      if (done) continue;
      const auto code = done.error().code();
      if (code != ErrorCode::closed && code != ErrorCode::peer_died) {
        problem += "at the end: " + done.error().message() + "; ";
      }
    }
    seat->letters.drop_all();
  }
  problem += odd_exit_;
  if (!host_.stats().is_all_free()) problem += "not all is free; ";
  return problem + lend_everything();
}

std::string Chaos::lend_everything() {
  std::size_t whole = 0;
  std::vector<mews::Loan> loans;
  auto& channel = seats_[0]->plugin->channel();
  const auto rows = classes();
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
    whole += row->slab_count;
    for (;;) {
      auto loan = channel.try_loan(row->slab_bytes);
      if (!loan) break;
      loans.push_back(std::move(*loan));
    }
  }
  if (loans.size() == whole) return "";
  return "only " + std::to_string(loans.size()) + " of " + std::to_string(whole) +
         " slabs can be lent; ";
}

std::uint64_t Chaos::letters() const {
  std::uint64_t total = 0;
  for (const auto& seat : seats_) {
    total += seat->total + seat->letters.received() + seat->letters.sent();
  }
  return total;
}

}  // namespace

TEST_CASE("chaos: plugins that are killed at random lose no slab and no message") {
  const rlimit no_core{};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const char* is_long = std::getenv("MEWS_LONG");
  const std::uint64_t kills = is_long != nullptr && *is_long != '\0' ? 10'000 : scaled(300);
  Chaos chaos(make_seed("chaos"));
  chaos.run(kills);
  CHECK(chaos.settle() == "");
  std::printf("chaos: %llu kills, %llu messages\n", static_cast<unsigned long long>(kills),
              static_cast<unsigned long long>(chaos.letters()));
  chaos.times.print("chaos: from kill to fully taken back");
  const auto& [early, late] = chaos.footprints;
  std::printf("chaos: after a third %s; at the end %s\n", early.text().c_str(),
              late.text().c_str());
  CHECK(late.descriptors <= early.descriptors + kPlugins);
  if (!kIsSanitized) CHECK(late.private_bytes <= early.private_bytes + (8u << 20));
  CHECK(late.arena_bytes <= early.arena_bytes + (16u << 20));
}
