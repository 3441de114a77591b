// SPDX-License-Identifier: MIT
#pragma once

#include <memory>

#include "mews/error.hpp"
#include "mews/os/unique_fd.hpp"

/// The two ends of a channel wake each other's event loops by descriptors.
///
/// A plugin can change the state of an open file description that it has: it clears O_NONBLOCK, or
/// fills a counter, and then a write there blocks. So the host reads and writes nothing that the
/// plugin has a descriptor of:
///
/// direction       descriptor                        written by      read by
/// host -> plugin  a Unix stream, ends h and p       host, at h      plugin, at p
/// plugin -> host  an eventfd, in both processes     plugin          nobody: an edge for epoll
///
/// The host's end h is shut down for reading: a plugin can put nothing into it. It hangs up when
/// all copies of p are closed, which also tells of a plugin that has replaced itself by exec; p
/// hangs up when the host's is closed.
namespace mews::inline MEWS_LAYOUT::os {

/// One end. Any thread; no function blocks.
class WakeEnd {
 public:
  virtual ~WakeEnd() = default;
  WakeEnd(const WakeEnd&) = delete;
  WakeEnd& operator=(const WakeEnd&) = delete;

  /// Readable after a signal, until `drain`; may be readable without one. For any event loop.
  [[nodiscard]] virtual int event_fd() const noexcept = 0;
  /// The descriptor that hangs up (POLLHUP) when the other end is closed everywhere.
  [[nodiscard]] virtual int hang_up_fd() const noexcept = 0;
  /// Makes the other end's `event_fd` readable.
  virtual void signal_other() noexcept = 0;
  /// Makes this end's `event_fd` readable. For a channel that is over: at the plugin's end it stays
  /// readable for ever, and the host's end hangs up.
  virtual void signal_own() noexcept = 0;
  virtual void drain() noexcept = 0;

 protected:
  WakeEnd() = default;
};

/// The descriptors of the plugin's end, to be passed to its process.
struct PluginWakeFds {
  UniqueFd stream;  ///< p
  UniqueFd event;
};

struct WakePair {
  std::unique_ptr<WakeEnd> host;
  PluginWakeFds plugin;
};

/// Returns whether the stream `fd` has hung up.
[[nodiscard]] bool has_hung_up(int fd) noexcept;

/// Returns a new pair; all descriptors close on exec. `os_error` (EMFILE); throws `std::bad_alloc`.
[[nodiscard]] Result<WakePair> make_wake_pair();

/// Returns the plugin's end, made of the descriptors that the host has passed. Throws
/// `std::bad_alloc`.
[[nodiscard]] std::unique_ptr<WakeEnd> plugin_wake_end(PluginWakeFds fds);

}  // namespace mews::inline MEWS_LAYOUT::os
