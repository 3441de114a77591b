// SPDX-License-Identifier: MIT
#pragma once

#include <csignal>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "crash/stage.hpp"
#include "crash/victim_log.hpp"
#include "mews/mews.hpp"
#include "mews/os/process.hpp"
#include "mews/os/spawn.hpp"

namespace mews_test {

/// A plugin that was not started by the host, and joins by the arena's name. The host sees to its
/// end as soon as it has joined: it may be gone when this returns.
inline mews::Result<mews::os::Child> join(const Stage& stage, std::string_view scenario,
                                          std::uint64_t kill_at, const VictimLogPage& page) {
  auto command = victim_command(scenario, kill_at, page);
  command.push_back(stage.name());
  return mews::os::spawn({.arguments = std::move(command), .environment = {}, .inherited_fds = {}});
}

/// The host's admission of one child, which may die at any step of it. An `admit` passes over
/// callers that are gone; so when the child is gone, another process joins and leaves at once. Each
/// wait ends so, without a clock.
class Admission {
 public:
  Admission(Stage& stage, const mews::os::Child& child)
      : stage_(stage), child_(child), successor_([this] { come_in_after_its_end(); }) {}
  Admission(const Admission&) = delete;
  Admission& operator=(const Admission&) = delete;
  /// Not before the child's end.
  ~Admission() {
    (void)mews::os::send_signal(child_.pidfd.get(), SIGKILL);
    if (successor_.joinable()) successor_.join();
  }

  /// The child; nothing when it died before it had a seat.
  [[nodiscard]] std::optional<mews::Plugin> admit() {
    auto admitted = stage_.host().admit(kStuck);
    if (admitted && admitted->pid() == child_.pid) return std::move(*admitted);
    see_out(admitted);
    return std::nullopt;
  }
  /// Lets the other one in and out when an admitted child has died.
  void close() {
    auto admitted = stage_.host().admit(kStuck);
    see_out(admitted);
  }
  /// What should not have happened; after `close`, or when `admit` has given nothing.
  [[nodiscard]] std::string problem() {
    successor_.join();
    // The host did not start it, so its status is this process's to take.
    const auto status = successors_pidfd_ ? mews::os::reap(successors_pidfd_.get()) : std::nullopt;
    const bool came_in = status && !status->is_signal && status->number == 0;
    return problem_ + (came_in ? "" : "nobody comes in afterwards; ");
  }

 private:
  void come_in_after_its_end() {
    (void)mews::os::wait_for_exit(child_.pidfd.get(), mews::forever);
    auto successor = join(stage_, "attach", 0, successors_page_);
    // It would be killed at the end of the thread that started it.
    if (!successor) return;
    (void)mews::os::wait_for_exit(successor->pidfd.get(), mews::forever);
    successors_pidfd_ = std::move(successor->pidfd);
  }
  void see_out(mews::Result<mews::Plugin>& admitted) {
    if (!admitted) {
      problem_ = admitted.error().message() + "; ";
      return;
    }
    if (!admitted->wait_exit(kStuck)) problem_ = "who came in afterwards is never gone; ";
  }

  Stage& stage_;
  const mews::os::Child& child_;
  VictimLogPage successors_page_;
  mews::os::UniqueFd successors_pidfd_;  // of `successor_` until it is joined
  std::string problem_;
  std::thread successor_;
};

}  // namespace mews_test
