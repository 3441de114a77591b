// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crash/victim_log.hpp"
#include "mews/mem/arena.hpp"
#include "mews/mews.hpp"

namespace mews_test {

/// A wait that takes this long will never end.
inline constexpr std::chrono::seconds kStuck{20};

/// The deadline of one call. A call looks once more when its time is over, so what it returns does
/// not show that nobody woke it; that its time is over does.
class Patience {
 public:
  operator mews::Deadline() const noexcept { return deadline_; }  // NOLINT: to be passed as one
  [[nodiscard]] bool is_over() const noexcept { return deadline_.has_passed(); }

 private:
  mews::Deadline deadline_{kStuck};
};

/// The host's side of a channel whose plugin may end at any step. Nothing here throws or asserts:
/// what went wrong is collected, and the first problem counts.
class HostSide {
 public:
  HostSide(mews::Plugin& plugin, VictimLog& log, const mews::mem::Arena& arena)
      : plugin_(plugin), log_(log), arena_(arena) {}

  [[nodiscard]] mews::Channel& channel() noexcept { return plugin_.channel(); }
  [[nodiscard]] const mews::mem::Arena& arena() const noexcept { return arena_; }
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }
  void add_problem(const std::string& text);

  /// Sends the next message; false once the plugin is gone.
  bool send(std::size_t bytes, std::uint32_t type = 0);
  /// Waits for a slab, and gives it back.
  void want_slab(std::size_t bytes);
  /// Takes the next message, checks it, keeps some; false once there is none any more.
  bool receive();
  void receive_all();
  /// The same by the event descriptor: armed, polled, received.
  bool receive_in_event_loop();

  /// Waits until the plugin sleeps for a message, or for room, or is gone.
  void wait_until_it_sleeps_for_a_message();
  void wait_until_it_sleeps_for_room();
  void wait_until_somebody_sleeps_for_a_slab();

  /// After the end: what was delivered is what was published; the rest lies in the lanes.
  void check_deliveries();
  /// Slabs that the host still reads.
  [[nodiscard]] std::uint32_t slabs_kept() const noexcept;
  /// What is kept still is what it was. Proves most when all other slabs have been written to.
  void check_kept();
  void drop_all() { kept_.clear(); }

  [[nodiscard]] bool is_over() { return ended_ || plugin_.exit(); }

 private:
  void note(const char* call, const mews::Error& error);
  void note_if_stuck(const char* call, const Patience& patience);
  bool keep(mews::Message message);
  template <class IsSo>
  void wait_until(const char* what, IsSo&& is_so);

  mews::Plugin& plugin_;
  VictimLog& log_;
  const mews::mem::Arena& arena_;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
  struct Kept {
    std::uint64_t number;
    mews::Message message;
  };
  std::vector<Kept> kept_;
  std::optional<mews::ErrorCode> ended_;
  std::string problem_;
};

}  // namespace mews_test
