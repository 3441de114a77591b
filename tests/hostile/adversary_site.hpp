// SPDX-License-Identifier: MIT
#pragma once

#include <signal.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../process/site.hpp"
#include "../support/shared_page.hpp"
#include "adversary_regions.hpp"
#include "adversary_requests.hpp"

/// A host at work with three honest plugins and one adversary.
namespace hostile_test {

[[nodiscard]] inline Words adversary_program(const Words& words) {
  Words command{MEWS_TEST_BIN_DIR "/adversary_plugin"};
  command.insert(command.end(), words.begin(), words.end());
  return command;
}

[[nodiscard]] inline mews::CreateOptions adversary_arena() {
  mews::CreateOptions options;
  options.name = unique_name("adversary");
  options.size_classes = {{1024, 256}, {16384, 64}, {1 << 19, 32}, {4 << 20, 2}};
  options.reply_slabs = 0;
  options.fallback_classes = 1;
  options.ring_cells = 64;
  options.max_plugins = 6;
  return options;
}

/// What the whole of a round came to.
struct RoundResult {
  std::array<WorkResult, 3> meanwhile;
  std::string late;        ///< a call that returned too late, or nothing
  std::string afterwards;  ///< what is not whole, or nothing
  std::string elsewhere;   ///< what is wrong with another arena of this host, or nothing
};

class AdversarySite {
 public:
  AdversarySite(const Region& region, std::uint64_t seed)
      : region_(region),
        seed_(seed),
        watch_(std::string("adversary: ") + region.name +
               ", MEWS_TEST_SEED=" + std::to_string(seed)),
        host_(must(mews::Session::create(adversary_arena()))) {
    for (std::size_t i = 0; i < kHonest; ++i) {
      const auto salt = std::to_string(seed_ + i);
      workers_.push_back(
          must(host_.spawn("honest-" + std::to_string(i), adversary_program({"work", salt}))));
    }
    evil_.emplace(must(host_.spawn(
        "evil", adversary_program({"scribble", region.name, std::to_string(seed), page_.path()}))));
  }

  [[nodiscard]] RoundResult run(std::chrono::milliseconds work_time) {
    RoundResult result;
    for (std::size_t i = 0; i < kHonest; ++i)
      greet(i);
    must(evil_->channel().send(bytes_of(std::to_string(evil_->peer().value())), {}, kPatience));
    if (!eventually([&] { return page_->bursts > 0; })) {
      result.afterwards = "the adversary does nothing";
      return result;
    }
    const mews::Deadline end(work_time);
    // Where none may pass, not even on a machine that has much else to do.
    const auto deadline = region_.worst == Harm::none ? kQuietDeadline : kWorkDeadline;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < kHonest; ++i) {
      threads.emplace_back([&, i] {
        Requests requests(workers_[i].channel(), watch_.of(i),
                          {.salt = seed_ + i, .first = kFirst, .deadline = deadline});
        while (!end.has_passed() && requests.ask(result.meanwhile.at(i))) {
        }
      });
    }
    work_with_evil(end);
    for (auto& thread : threads)
      thread.join();
    result.afterwards = settle(result);
    if (!result.afterwards.empty()) {
      auto other = must(mews::Session::create(adversary_arena()));
      result.elsewhere = use_new_plugin(other, watch_.of(kOwn));
    }
    result.late = watch_.late();
    return result;
  }

 private:
  static constexpr std::size_t kHonest = 3;
  // Numbers of requests.
  static constexpr std::uint64_t kGreeting = 0;
  static constexpr std::uint64_t kFirst = 1;
  static constexpr std::uint64_t kAfterwards = 1'000'000'000;
  static constexpr std::size_t kOwn = kHonest;  ///< of the thread that runs all this

  /// It has attached: of who joins while all is scribbled over, nothing is asked.
  void greet(std::size_t worker) {
    auto& channel = workers_[worker].channel();
    must(channel.send(bytes_of(""), {.type = 0, .correlation = kGreeting}, kPatience));
    must(channel.receive(kPatience));
  }

  /// Any answer will do, but there must be one.
  void work_with_evil(mews::Deadline end) {
    mews_test::Random random(seed_);
    auto& channel = evil_->channel();
    auto& calls = watch_.of(kOwn);
    std::vector<mews::Message> kept;
    while (!end.has_passed()) {
      auto loan = calls.call("loan", 20ms, [&] { return channel.loan(work_size(random), 20ms); });
      if (loan) {
        static_cast<void>(calls.call("send", 20ms, [&] {
          return channel.send(std::move(*loan), {.type = 1000, .correlation = random()}, 20ms);
        }));
      }
      auto message = calls.call("receive", 20ms, [&] { return channel.receive(20ms); });
      if (message && kept.size() < 8) kept.push_back(std::move(*message));
      for (const auto& one : kept)
        static_cast<void>(is_filled(one.bytes(), 1));
      if (random() % 4 == 0) kept.clear();
      static_cast<void>(calls.call("try_receive_batch", 0ms, [&] {
        return channel.try_receive_batch([](const mews::MessageView&) {}, 10);
      }));
      static_cast<void>(calls.call("arm_event", 0ms, [&] { return channel.arm_event(); }));
      static_cast<void>(calls.call("stats", 0ms, [&] { return host_.stats(); }));
      static_cast<void>(
          calls.call("loan of a run", 20ms, [&] { return channel.loan(8 << 20, 20ms); }));
    }
  }

  /// The adversary is killed, and whoever it cut off is ended. What is not as it was, or nothing.
  std::string settle(const RoundResult& result) {
    auto& calls = watch_.of(kOwn);
    static_cast<void>(evil_->kill(SIGKILL));  // it may have hit itself
    if (auto gone = end(calls, *evil_); !gone.empty()) return "the adversary: " + gone;
    evil_.reset();
    for (std::size_t i = kHonest; i-- > 0;) {
      if (is_well(calls, i, result.meanwhile.at(i))) continue;
      static_cast<void>(workers_[i].kill(SIGKILL));
      if (auto gone = end(calls, workers_[i]); !gone.empty()) return "a neighbour: " + gone;
      workers_.erase(workers_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return what_is_not_whole(calls);
  }
  static std::string end(TimedCalls& calls, mews::Plugin& plugin) {
    const auto exit =
        calls.call("wait_exit", kPatience, [&] { return plugin.wait_exit(kPatience); });
    return exit ? "" : exit.error().message();
  }
  /// It answers again.
  bool is_well(TimedCalls& calls, std::size_t worker, const WorkResult& meanwhile) {
    if (meanwhile.harm() > Harm::slow) return false;
    Requests requests(workers_[worker].channel(), calls,
                      {.salt = seed_ + worker, .first = kAfterwards, .deadline = kWorkDeadline});
    return requests.ask_some().empty();
  }
  /// A new plugin of `host` does its work; or what is wrong.
  static std::string use_new_plugin(mews::Session& host, TimedCalls& calls) {
    auto next = host.spawn("next", adversary_program({"work", "7"}));
    if (!next) return "a new plugin: " + next.error().message();
    Requests requests(next->channel(), calls,
                      {.salt = 7, .first = kFirst, .deadline = kQuietDeadline});
    const auto wrong = requests.ask_some();
    return wrong.empty() ? "" : "a new plugin's work: " + wrong;
  }
  std::string what_is_not_whole(TimedCalls& calls) {
    if (auto wrong = use_new_plugin(host_, calls); !wrong.empty()) return wrong;
    auto probe = must(host_.connect("probe"));
    for (const auto& row : adversary_arena().size_classes) {
      std::vector<mews::Loan> all;
      const auto is_whole = [&] {
        while (auto loan = probe.first.channel().try_loan(row.slab_bytes))
          all.push_back(std::move(*loan));
        return all.size() >= row.slab_count;
      };
      // A worker may be about to drop its last request.
      if (!is_whole() && !eventually_soon(is_whole)) {
        return std::to_string(all.size()) + " of " + std::to_string(row.slab_count) + " slabs of " +
               std::to_string(row.slab_bytes) + " can be lent";
      }
    }
    return host_.stats().is_all_free() ? "" : "not all is free";
  }
  template <class IsTrue>
  static bool eventually_soon(IsTrue&& is_true) {
    const mews::Deadline deadline(2s);
    while (!deadline.has_passed()) {
      if (is_true()) return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }

  Region region_;
  std::uint64_t seed_;
  HangWatch<kHonest + 1> watch_;
  mews_test::SharedPage<Scribbles> page_;
  mews::Session host_;
  std::vector<mews::Plugin> workers_;
  std::optional<mews::Plugin> evil_;
};

}  // namespace hostile_test
