// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mews/base/visible.hpp"

namespace MEWS_VISIBLE mews {
inline namespace MEWS_LAYOUT {

/// The target of one of a plugin's standard streams: by default, the host's.
class StandardStream {
 public:
  StandardStream() noexcept = default;
  /// Reads nothing, and discards all writes.
  [[nodiscard]] static StandardStream null() noexcept { return StandardStream(kNull); }
  /// The host's open descriptor `fd`. `Session::spawn` duplicates it, also for restarts: the host
  /// may close its own afterwards.
  [[nodiscard]] static StandardStream descriptor(int fd) noexcept {
    return StandardStream(fd < 0 ? kNoDescriptor : fd);
  }

  [[nodiscard]] bool is_inherited() const noexcept { return fd_ == kInherited; }
  [[nodiscard]] bool is_null() const noexcept { return fd_ == kNull; }
  /// -1: none, or an impossible one.
  [[nodiscard]] int fd() const noexcept { return fd_ < 0 ? -1 : fd_; }

 private:
  static constexpr int kInherited = -1;
  static constexpr int kNull = -2;
  static constexpr int kNoDescriptor = -3;
  explicit StandardStream(int fd) noexcept : fd_(fd) {}
  int fd_ = kInherited;
};

/// The process group of a plugin. A terminal sends Ctrl-C to the whole group in front.
enum class ProcessGroup : std::uint8_t {
  inherited,    ///< the host's: Ctrl-C goes to both
  own_group,    ///< its own: Ctrl-C goes to the host alone
  own_session,  ///< a session of its own, without the host's terminal; also a group of its own
};

/// The part of the host's environment that a plugin gets, besides its own variables.
enum class BaseEnvironment : std::uint8_t {
  inherited,  ///< all, as it was when `Session::spawn` was called
  clean,      ///< nothing
};

/// As setrlimit(2) has it: `resource` is one of RLIMIT_*, and RLIM_INFINITY is no limit.
struct ResourceLimit {
  int resource;
  std::uint64_t soft;
  std::uint64_t hard;
};

/// Surroundings of a spawned process, and of each restart in its place. A step that fails is
/// `spawn_failed`, names itself ("working directory /x") and leaves no process.
///
/// A plugin inherits the three standard streams, the descriptors of mews, and `inherited_fds`: no
/// other descriptor of the host, whether it is close-on-exec or not. It starts with no signal
/// blocked and all signals at their defaults.
struct ProcessOptions {
  /// Empty: the host's. A relative path of the program is looked up from here.
  std::string working_directory = {};
  StandardStream standard_input = {};
  StandardStream standard_output = {};
  StandardStream standard_error = {};
  /// Descriptors that keep their numbers, 3 and higher. They must stay open as long as the plugin
  /// may be started again.
  std::vector<int> inherited_fds = {};
  ProcessGroup group = ProcessGroup::inherited;
  std::vector<ResourceLimit> limits = {};  ///< set last, in this order
  /// From -20 (most favoured) to 19, not relative to the host's. Lower than the host's needs a
  /// privilege.
  std::optional<int> nice = {};
  BaseEnvironment base_environment = BaseEnvironment::inherited;
  /// The kernel sends this signal to the plugin when its host has died or executes another program,
  /// however busy or stuck the plugin is; 0: none, then the plugin learns of it by `host_died`. The
  /// end of the thread that called `spawn` does not count. A program that is set-user-ID,
  /// set-group-ID or has capabilities loses it as it begins; processes that the plugin starts do
  /// not have it.
  int parent_death_signal = SIGKILL;
};

}  // namespace MEWS_LAYOUT
}  // namespace mews
