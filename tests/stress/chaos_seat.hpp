// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "mews/mews.hpp"
#include "stress/chaos_letter.hpp"
#include "stress/chaos_witness.hpp"

namespace mews_test::chaos {

/// How a plugin is made to die.
enum class Manner : std::uint8_t { killed, crashed, stopped_and_killed, told_to_go };
inline constexpr std::size_t kManners = 4;
inline constexpr const char* kMannerNames[kManners] = {"SIGKILL", "SIGSEGV", "SIGSTOP, SIGKILL",
                                                       "exit in the middle of a batch"};

[[nodiscard]] constexpr int signal_of(Manner manner) noexcept {
  if (manner == Manner::crashed) return SIGSEGV;
  return manner == Manner::told_to_go ? SIGUSR1 : SIGKILL;
}

/// Whether a process that was made to die so may end so.
[[nodiscard]] inline bool is_expected(Manner manner, const mews::PluginExit& exit) noexcept {
  // SIGUSR1 as it stands: it was not yet so far that it knew what that means.
  if (exit.is_signal) return exit.number == signal_of(manner);
  return manner == Manner::told_to_go && exit.number == kEndedInABatch;
}

/// One plugin through all its lives, and the host's end of the letters. Under `mutex`, except for
/// what the watcher's thread takes away when it reports a death.
class Seat {
 public:
  explicit Seat(std::uint64_t seed) : letters_(seed) {}

  std::mutex mutex;
  std::optional<mews::Plugin> plugin;
  WitnessPage witness;

  /// Receives and sends a few letters, never waiting. After a death: receives the rest, looks
  /// whether that is all, and turns to the successor.
  void serve() {
    if (!problem_.empty()) return;
    auto done = receive_some();
    if (!done && done.error().code() == mews::ErrorCode::timed_out) {
      done = letters_.send(plugin->channel());
    }
    if (done) return;
    if (done.error().code() != mews::ErrorCode::peer_died) {
      problem_ = plugin->name() + ": " + done.error().message() + "; ";
      return;
    }
    receive_rest(mews::ErrorCode::peer_died);
    const auto renewed = plugin->renew(std::chrono::milliseconds(0));
    if (renewed) {
      total_ += letters_.received() + letters_.sent();
      letters_.begin_anew();
    } else if (renewed.error().code() != mews::ErrorCode::timed_out) {
      problem_ += plugin->name() + ": " + renewed.error().message() + "; ";
    }
  }

  /// Receives until the channel is at its end, which is to be `end`, and compares with what the
  /// process noted.
  void receive_rest(mews::ErrorCode end) {
    mews::Result<void> done;
    while (done)
      done = letters_.receive(plugin->channel(), std::chrono::seconds(20));
    if (done.error().code() != end) {
      problem_ += plugin->name() + " at its end: " + done.error().message() + "; ";
    }
    problem_ += witness->complaint(plugin->pid(), letters_.received());
  }

  /// The process that runs now has written.
  [[nodiscard]] bool is_heard() const {
    return plugin->is_alive() && !doomed_ && letters_.received() > 0;
  }

  /// Makes the process die, unless it does already.
  [[nodiscard]] bool kill(Manner manner) {
    if (!plugin->is_alive() || doomed_) return false;
    if (manner == Manner::stopped_and_killed) {
      (void)plugin->kill(SIGSTOP);
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    manner_ = manner;
    killed_at_ = std::chrono::steady_clock::now();
    doomed_ = true;
    return plugin->kill(signal_of(manner)).has_value();
  }
  struct Death {
    Manner manner;
    std::chrono::nanoseconds since;
  };
  /// On the watcher's thread: why the process died, nothing if nobody made it.
  [[nodiscard]] std::optional<Death> take_death() {
    if (!doomed_) return std::nullopt;
    const Death death{manner_, std::chrono::steady_clock::now() - killed_at_};
    doomed_ = false;
    return death;
  }

  void drop_letters() { letters_.drop_all(); }
  [[nodiscard]] std::uint64_t letters() const {
    return total_ + letters_.received() + letters_.sent();
  }
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  mews::Result<void> receive_some() {
    mews::Result<void> done;
    for (int i = 0; i < 8 && done; ++i)
      done = letters_.receive(plugin->channel(), std::chrono::milliseconds(0));
    return done;
  }

  Correspondent letters_;
  std::uint64_t total_ = 0;          ///< letters of the lives before this one
  std::string problem_;              ///< the first thing that went wrong
  std::atomic<bool> doomed_{false};  ///< publishes the two below to the watcher's thread
  Manner manner_{};
  std::chrono::steady_clock::time_point killed_at_;
};

}  // namespace mews_test::chaos
