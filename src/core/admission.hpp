// SPDX-License-Identifier: MIT
#pragma once

#include <condition_variable>
#include <list>
#include <mutex>
#include <optional>
#include <stop_token>

#include "host_core.hpp"
#include "mews/os/private_fd.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// A host's listener and its callers. All callers are served at the same time, each with its own
/// deadline: a silent caller delays nobody. A caller says its name, gets the offer of a seat, and
/// confirms that it has taken the seat. This may take several calls of `admit`.
///
/// Threads: any. One thread in `admit` serves the callers, the others wait for it.
class HostCore::Admission {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Admission>> make(HostCore& host,
                                                               os::UniqueFd listener);
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;
  ~Admission();

  [[nodiscard]] Result<PluginParts> admit(Deadline deadline, const std::stop_token& stop);
  /// Wakes all threads in `admit`: each checks its stop token and whether the session is shutting
  /// down. Not with the host's mutex held.
  void wake() noexcept;

 private:
  struct Caller {
    os::UniqueFd socket;
    bool can_send_fds = false;  ///< then closing its socket may block: `close_where_nobody_waits`
    pid_t pid = -1;
    os::UniqueFd pidfd;
    Deadline deadline = forever;
    std::optional<PluginParts> offered;
  };
  using Callers = std::list<Caller>;
  /// The result of an `admit`; empty: it goes on.
  using Outcome = std::optional<Result<PluginParts>>;

  Admission(HostCore& host, os::UniqueFd listener, os::UniqueFd poll, os::UniqueFd wake) noexcept
      : host_(host),
        listener_(std::move(listener)),
        poll_(std::move(poll)),
        wake_(std::move(wake)) {}

  [[nodiscard]] Result<void> watch(int fd, void* what) noexcept;
  void watch_listener(std::uint32_t events) noexcept;
  [[nodiscard]] std::optional<ErrorCode> why_not(const std::stop_token& stop);
  [[nodiscard]] Error nobody_came(std::uint64_t passed_over_before) const;

  // Called by the serving thread only.
  [[nodiscard]] Outcome serve(Deadline deadline);
  [[nodiscard]] Outcome accept_all();
  [[nodiscard]] Outcome greet(Callers::iterator caller);
  [[nodiscard]] Outcome settle(Callers::iterator caller);
  [[nodiscard]] Outcome let_pass(Callers::iterator caller, Error why);
  [[nodiscard]] Outcome see_off(Callers::iterator caller, Outcome outcome);
  [[nodiscard]] Result<void> offer(Caller& caller);
  [[nodiscard]] Deadline next_patience() const noexcept;

  HostCore& host_;
  os::PrivateFd listener_;
  os::UniqueFd poll_;
  os::UniqueFd wake_;
  Callers callers_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_served_ = false;               ///< a thread is in `serve`
  std::optional<Error> passed_over_;     ///< why the last skipped caller was skipped
  std::uint64_t passed_over_count_ = 0;  ///< callers skipped so far
};

}  // namespace mews::inline MEWS_LAYOUT::detail
