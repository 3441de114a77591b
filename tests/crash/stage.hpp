// SPDX-License-Identifier: MIT
#pragma once

#include <initializer_list>
#include <span>
#include <string>

#include "crash/host_side.hpp"
#include "crash/table.hpp"
#include "crash/victim_log.hpp"
#include "crash/worker.hpp"
#include "mews/mem/arena.hpp"
#include "mews/mem/census.hpp"
#include "mews/mews.hpp"

namespace mews_test {

/// A host with a small arena, of which the test has a second view to look at the words themselves.
class Stage {
 public:
  /// Throws when it cannot be set.
  explicit Stage(mews::Watcher watcher = mews::Watcher::thread,
                 std::uint32_t ring_cells = kRingCells);

  [[nodiscard]] mews::Session& host() noexcept { return host_; }
  [[nodiscard]] const mews::mem::Arena& arena() const noexcept { return arena_; }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Where those knock who want to join by the arena's name.
  [[nodiscard]] std::string address() const;
  /// A channel that lives as long as the stage.
  [[nodiscard]] mews::Channel& channel() noexcept { return idle_.first.channel(); }

  /// What is wrong while `holders` hold what they say and nobody else holds anything: a slab that
  /// is not free or not theirs, a chunk of a dead peer, an entry that is not what it should be, a
  /// slab that cannot be lent. All that is free has been written over after it. `dead` are known
  /// dead.
  [[nodiscard]] std::string audit(std::initializer_list<mews::PeerId> dead,
                                  std::span<const mews::mem::Holding> holders = {});

  /// What is wrong with the seat of a dead plugin whose handle was dropped, given out once more.
  [[nodiscard]] std::string audit_seat(mews::PeerId vacated);

 private:
  static std::string next_name();
  std::string name_;
  mews::Session host_;
  mews::mem::Arena arena_;
  std::pair<mews::Plugin, mews::Session> idle_;
};

/// A command line for crash_victim_plugin.
[[nodiscard]] std::vector<std::string> victim_command(std::string_view scenario,
                                                      std::uint64_t kill_at,
                                                      const VictimLogPage& page);

}  // namespace mews_test
