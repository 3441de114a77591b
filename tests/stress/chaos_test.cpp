// SPDX-License-Identifier: MIT
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "stress/chaos_seat.hpp"
#include "stress/chaos_times.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"

namespace {

using namespace mews_test;
using chaos::Manner;
using chaos::Seat;
using mews::ErrorCode;

constexpr int kPlugins = 16;
constexpr int kThreads = 4;
constexpr std::chrono::seconds kStuck{60};

std::vector<mews::SizeClass> classes() {
  return {{1024, 256}, {4096, 128}, {16384, 64}, {65536, 64}, {262144, 48}, {1 << 20, 32}};
}

class Chaos {
 public:
  explicit Chaos(std::uint64_t seed);

  /// Kills so many, one every 10 ms, while all write to each other. False when somebody does not
  /// come back.
  [[nodiscard]] bool run(std::uint64_t kills);
  /// Everybody goes home. What went wrong, or nothing.
  [[nodiscard]] std::string settle();

  [[nodiscard]] std::uint64_t letters() const;
  std::array<Times, chaos::kManners> times;  ///< one for each death, by its manner
  Times all_times;
  std::array<Footprint, 2> footprints;  ///< after the first third, and at the end

 private:
  void spawn(std::size_t index, std::uint64_t seed);
  void on_exit(Seat& seat, const mews::PluginExit& exit);
  void serve(std::size_t first);
  [[nodiscard]] bool kill_one();
  [[nodiscard]] bool wait_until_all_are_heard();
  [[nodiscard]] Footprint footprint() const;
  [[nodiscard]] std::string lend_everything();

  Random random_;
  mews::Session host_;
  std::vector<std::unique_ptr<Seat>> seats_;
  std::atomic<bool> is_over_{false};
  std::atomic<bool> is_shutting_down_{false};
  std::mutex odd_mutex_;
  std::string odd_exit_;
};

mews::Session make_host() {
  mews::CreateOptions options;
  options.name = "chaos";
  options.size_classes = classes();
  options.reply_slabs = 0;
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
  options.restart_limit = mews::kUnlimitedRestarts;
  // A sanitizer would make an exit of the signal.
  options.environment = {"ASAN_OPTIONS=handle_segv=0", "TSAN_OPTIONS=handle_segv=0"};
  options.on_exit = [this, &seat](const mews::PluginExit& exit) { on_exit(seat, exit); };
  seat.plugin.emplace(value_or_throw(host_.spawn(
      "plugin-" + std::to_string(index),
      {MEWS_TEST_BIN_DIR "/chaos_child", "traffic", std::to_string(seed), seat.witness.path()},
      options)));
}

void Chaos::on_exit(Seat& seat, const mews::PluginExit& exit) {
  const auto death = seat.take_death();
  if (death) {
    times[static_cast<std::size_t>(death->manner)].add(death->since);
    all_times.add(death->since);
  }
  const bool is_expected = death ? chaos::is_expected(death->manner, exit)
                                 : is_shutting_down_ && !exit.is_signal && exit.number == 0;
  if (is_expected) return;
  const std::lock_guard lock(odd_mutex_);
  odd_exit_ += exit.description + (death ? ", made to die otherwise; " : ", by itself; ");
}

// One thread of the host: a few plugins in turn, never waiting for one of them.
void Chaos::serve(std::size_t first) {
  while (!is_over_) {
    for (auto i = first; i < kPlugins; i += kThreads) {
      const std::lock_guard lock(seats_[i]->mutex);
      seats_[i]->serve();
    }
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

bool Chaos::kill_one() {
  auto& seat = *seats_[between(random_, 0, kPlugins - 1)];
  const std::lock_guard lock(seat.mutex);
  // Most of them at work, a few while they join.
  if (!seat.is_heard() && between(random_, 0, 15) != 0) return false;
  return seat.kill(static_cast<Manner>(between(random_, 0, chaos::kManners - 1)));
}

bool Chaos::wait_until_all_are_heard() {
  const auto is_heard = [](const auto& seat) {
    const std::lock_guard lock(seat->mutex);
    return seat->is_heard();
  };
  const mews::Deadline deadline(kStuck);
  while (!std::all_of(seats_.begin(), seats_.end(), is_heard)) {
    if (deadline.has_passed()) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

bool Chaos::run(std::uint64_t kills) {
  all_times.reserve(kills);
  for (auto& some : times)
    some.reserve(kills);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i)
    threads.emplace_back([this, i] { serve(i); });
  bool are_all_here = wait_until_all_are_heard();
  for (std::uint64_t done = 0; done < kills && are_all_here;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (!kill_one()) continue;
    ++done;
    if (done == kills / 3) {
      are_all_here = wait_until_all_are_heard();
      footprints[0] = footprint();
    }
    if (done % 1'000 == 0) {
      std::printf("chaos: %llu kills so far, %s\n", static_cast<unsigned long long>(done),
                  footprint().text().c_str());
      std::fflush(stdout);
    }
  }
  are_all_here = are_all_here && wait_until_all_are_heard();
  footprints[1] = footprint();
  is_over_ = true;
  for (auto& thread : threads)
    thread.join();
  return are_all_here;
}

Footprint Chaos::footprint() const {
  ::malloc_trim(0);  // what is free is not in use
  auto print = Footprint::of_this_process();
  print.arena_bytes = host_.stats().arena_resident_bytes;
  return print;
}

std::string Chaos::settle() {
  std::string problem;
  is_shutting_down_ = true;
  for (const auto& name : value_or_throw(host_.shutdown(kStuck)).killed)
    problem += name + " did not go; ";
  for (auto& seat : seats_) {
    const std::lock_guard lock(seat->mutex);
    if (seat->problem().empty()) seat->receive_rest(ErrorCode::closed);
    problem += seat->problem();
    seat->drop_letters();
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
  for (const auto& seat : seats_)
    total += seat->letters();
  return total;
}

std::uint64_t wanted_kills() {
  const char* is_long = std::getenv("MEWS_LONG");
  if (is_long != nullptr && *is_long != '\0') return kIsSanitized ? 1'000 : 10'000;
  return kIsSanitized ? 100 : 300;
}

}  // namespace

TEST_CASE("chaos: plugins that are killed at random lose no slab and no message") {
  const rlimit no_core{};
  ::setrlimit(RLIMIT_CORE, &no_core);
  const auto kills = wanted_kills();
  Chaos chaos(make_seed("chaos"));
  CHECK(chaos.run(kills));
  CHECK(chaos.settle() == "");
  std::printf("chaos: %llu kills, %llu messages\n", static_cast<unsigned long long>(kills),
              static_cast<unsigned long long>(chaos.letters()));
  CHECK(chaos.all_times.count() == kills);
  chaos.all_times.print("chaos: from kill to fully taken back");
  for (std::size_t i = 0; i < chaos::kManners; ++i)
    chaos.times[i].print((std::string("chaos: of these ") + chaos::kMannerNames[i]).c_str());
  const auto& [early, late] = chaos.footprints;
  std::printf("chaos: after a third %s; at the end %s\n", early.text().c_str(),
              late.text().c_str());
  CHECK(late.descriptors <= early.descriptors + kPlugins);
  // The allocator's own wandering. In the long run that is 39 bytes a kill: less than any object
  // that could be left of a plugin's life. The arena's size is fixed.
  if (!kIsSanitized) CHECK(late.private_bytes <= early.private_bytes + (256u << 10));
}
