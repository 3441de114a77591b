// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <mutex>

#include "host_core.hpp"
#include "link_core.hpp"
#include "reactor_timer.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// A link that follows its plugin from process to process: the inside of the link to the present
/// one, and what it takes to get the next. Any thread.
class LinkRoot : public std::enable_shared_from_this<LinkRoot> {
 public:
  struct Source {
    std::shared_ptr<PluginCore> plugin;
    std::shared_ptr<PluginProcess> process;
  };
  LinkRoot(Source source, LinkOptions options, std::shared_ptr<LinkCore> first);
  LinkRoot(const LinkRoot&) = delete;
  LinkRoot& operator=(const LinkRoot&) = delete;
  ~LinkRoot();

  [[nodiscard]] std::shared_ptr<LinkCore> current() const;
  /// Returns the inside of the link to the process after that of `last`; waits for it until then.
  /// `peer_died` when there will be none. Errors of `Plugin::renew`.
  [[nodiscard]] Result<std::shared_ptr<LinkCore>> after(const std::shared_ptr<LinkCore>& last,
                                                        const Until& until);
  // As `Link` documents them.
  [[nodiscard]] Result<Message> call(const Body& body, const CallOptions& options,
                                     const Until& until);
  /// `why` ended a call over `core`. Returns true when it is to be made again: `core` is the next
  /// process's then. Otherwise `why` is the error for the caller.
  [[nodiscard]] bool follow(std::shared_ptr<LinkCore>& core, const CallOptions& options,
                            const Until& until, Error& why);
  /// The same whatever ended it.
  [[nodiscard]] bool go_on(std::shared_ptr<LinkCore>& core, const Until& until, Error& why);
  /// A call over `core` was given up at its deadline: if the other end has not answered it after
  /// `LinkOptions::kill_after`, its process is killed.
  void on_late(const std::shared_ptr<LinkCore>& core);

 private:
  void end_overdue(const std::weak_ptr<LinkCore>& late);

  const LinkOptions options_;
  const std::shared_ptr<PluginCore> plugin_;
  sync::Turn renewing_;  ///< one thread waits for the next process, the others for that thread
  mutable std::mutex mutex_;
  // Mutex:
  std::shared_ptr<PluginProcess> process_;
  std::shared_ptr<LinkCore> current_;
  ReactorTimer timer_;
};

/// Returns a link's inside over `channel`, which takes the channel over.
[[nodiscard]] Result<std::shared_ptr<LinkCore>> link_over(
    const std::shared_ptr<ChannelCore>& channel, const LinkOptions& options);

}  // namespace mews::inline MEWS_LAYOUT::detail
