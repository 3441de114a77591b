// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "mews/base/visible.hpp"
#include "mews/deadline.hpp"
#include "mews/process_options.hpp"

namespace MEWS_VISIBLE mews {
inline namespace MEWS_LAYOUT {

/// One row of the arena's size-class table. Only touched slabs cost memory, so counts may be
/// generous.
struct SizeClass {
  std::uint64_t slab_bytes;  ///< a power of two from 64 to 2^32 (4 GiB)
  std::uint32_t slab_count;  ///< 1 to 2^24
};

/// 1 KiB to 16 MiB in steps of four, together 5.5 GiB of address space.
[[nodiscard]] MEWS_VISIBLE std::vector<SizeClass> default_size_classes();

/// The place of an arena's memory.
enum class Backing : std::uint8_t {
  anonymous,  ///< a sealed memfd: any death leaves nothing behind
  named,      ///< POSIX shared memory, which other programs can attach to by its name
};

/// The thread that notices the death of another process.
enum class Watcher : std::uint8_t {
  /// One thread for each session (not one for the process); asleep until the kernel reports.
  thread,
  none,  ///< the program polls `Session::watch_fd` and calls `Session::process_events`
};

/// Options that each end chooses for itself. A duration below zero counts as zero, here and in all
/// other options.
struct LocalOptions {
  /// Deadline of every blocking call without one of its own. Zero: such a call looks once.
  std::chrono::nanoseconds default_timeout = std::chrono::seconds(30);
  /// Longest time to look before sleeping, while no other thread wants this processor. A wake-up
  /// across processors costs 25 to 60 microseconds (measured on a virtual machine). In company the
  /// waiter looks for a few microseconds, yields once, and sleeps. Zero: sleep at once.
  std::chrono::nanoseconds spin_limit = std::chrono::microseconds(50);
  /// How much this end of a channel may have on its way in slabs, until the other end receives it:
  /// so many bytes, or so many slabs, whichever is more. A send above that waits for room, as with
  /// a full lane (`try_send`: `would_block`). Without a limit a fast sender spreads over memory
  /// that no cache holds (measured, a stream of 10 MiB messages: 16 GB/s against 62). Payloads of
  /// less than 16 KiB are not counted. Zero counts as one.
  std::uint64_t window_bytes = std::uint64_t{8} << 20;
  std::uint32_t window_slabs = 2;
  Watcher watcher = Watcher::thread;
};

/// How to make an arena. The host decides; plugins read it from the arena's header.
struct CreateOptions {
  /// 1 to 39 bytes of UTF-8 without spaces, '/' and control characters; the names of plugins too.
  /// For `named` also the name to attach by: one living host per user and name.
  std::string name = "mews";
  Backing backing = Backing::anonymous;
  /// 1 to 16, strictly ascending in `slab_bytes`, in all at most 64 TiB. The largest message fills
  /// all of the last row.
  std::vector<SizeClass> size_classes = default_size_classes();
  std::uint32_t max_plugins = 63;   ///< at once, 1 to 2047
  std::uint32_t ring_cells = 1024;  ///< 64-byte cells per lane, a power of two from 32 to 2^20
  /// Larger classes that a request may use when its own is full, 0 to 16.
  std::uint32_t fallback_classes = 1;
  /// The last slabs of each class, which serve replies only (`Request::loan`): so whoever has
  /// received a request can answer it, though requests and messages have all other memory. A class
  /// of one slab keeps none.
  std::uint32_t reply_slabs = 1;
  LocalOptions local = {};
};

/// How to find an arena: by a socket or by a name, not both (`invalid_argument`). Both empty: by
/// the invitation of the host that spawned this process.
struct AttachOptions {
  std::string socket = {};  ///< address of a listening host, see `Session::listen`
  std::string name = {};    ///< of a `named` arena
  /// This plugin's name, for the host to see, by the rules of `CreateOptions::name`. Empty: "pid-"
  /// and the process's id. A spawned plugin has the name that `Session::spawn` gave it.
  std::string as = {};
  std::chrono::nanoseconds timeout = std::chrono::seconds(10);  ///< for the host to be ready
  LocalOptions local = {};
};

/// How a plugin process ended.
struct PluginExit {
  std::string name;
  bool is_signal = false;  ///< killed by a signal, otherwise it exited
  /// The signal or the exit code; -1 where it is not known: the process was not started by
  /// `Session::spawn` (its parent alone can ask), or the program ignores SIGCHLD or waits for
  /// children that it did not start itself, or a debugger kept it for two seconds.
  int number = 0;
  bool will_restart = false;
  /// It was to be restarted, but is not any more: too many restarts in `restart_window`, or the
  /// restart failed.
  bool gave_up = false;
  std::string description;  ///< "fonts: signal 9 (Killed), restart in 10 ms"
};

/// The plugins that `Session::shutdown` did not end in good order, by name.
struct ShutdownReport {
  std::vector<std::string> killed;  ///< ended by SIGKILL
  /// Still running: this process has no permission to signal it, or the kernel has not ended it
  /// yet.
  std::vector<std::string> left_behind;
  [[nodiscard]] bool is_clean() const noexcept { return killed.empty() && left_behind.empty(); }
};

enum class Restart : std::uint8_t { never, on_crash };

/// For `PluginOptions::restart_limit`.
inline constexpr std::uint32_t kUnlimitedRestarts = ~std::uint32_t{0};

/// How to start a plugin and what to do when it ends.
struct PluginOptions {
  std::vector<std::string> environment = {};  ///< "NAME=value" to add to the host's
  ProcessOptions process = {};
  /// `on_crash`: unless it exited with 0, or its end is not known (number -1). There is no restart
  /// after `Plugin::stop`, after `Session::shutdown`, or once the handle is dropped.
  Restart restart = Restart::never;
  /// Before the first restart.
  std::chrono::milliseconds restart_delay{0};
  std::chrono::milliseconds restart_delay_limit = std::chrono::seconds(5);  ///< doubled up to this
  /// Most restarts within the window; the next one is given up (`PluginExit::gave_up`).
  std::uint32_t restart_limit = 10;
  std::chrono::milliseconds restart_window = std::chrono::minutes(1);
  /// Called after all memory of the process has been reclaimed; once more, with number -1 and the
  /// reason, if its restart then fails. On the watcher's thread, or with `Watcher::none` on the
  /// thread that calls `process_events`, or waits in `wait_exit`, `stop`, `renew` or `shutdown`.
  /// Must not block or throw, and must not destroy the session, a plugin, or the last of its
  /// channels and senders.
  std::function<void(const PluginExit&)> on_exit = {};
};

/// The sender's own numbers, which travel with a payload.
struct Envelope {
  std::uint32_t type = 0;         ///< the sender's own message type
  std::uint64_t correlation = 0;  ///< the sender's own id, by which replies find their request
};

}  // namespace MEWS_LAYOUT
}  // namespace mews
