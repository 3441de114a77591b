// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <string>

#include "support/shared_page.hpp"

namespace mews_test {

/// What a test shares with the process it is going to lose, apart from any arena: what the dead one
/// knew at its last moment.
struct VictimLog {
  std::atomic<std::uint64_t> steps{0};     ///< kill points passed
  std::atomic<std::uint64_t> begun{0};     ///< messages whose sending was begun
  std::atomic<std::uint64_t> sent{0};      ///< messages whose sending has returned
  std::atomic<std::uint64_t> received{0};  ///< messages that a call has returned
  std::atomic<std::uint32_t> phase{0};     ///< how far the scenario has come; its own affair
  std::atomic<std::uint32_t> ready{0};     ///< 1: the others are where the scenario wants them
  std::atomic<std::uint32_t> stuck{0};     ///< 1: `complaint` says what must not be
  char complaint[256]{};
};

using VictimLogPage = SharedPage<VictimLog>;

/// The first complaint counts.
inline void complain(VictimLog& log, const std::string& text) noexcept {
  if (log.stuck.load() != 0) return;
  std::snprintf(log.complaint, sizeof log.complaint, "%s", text.c_str());
  log.stuck.store(1);
}

}  // namespace mews_test
