// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <csignal>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "crash/encounter.hpp"
#include "mews/mews.hpp"
#include "mews/os/process.hpp"
#include "mews/os/socket.hpp"

namespace mews_test {

/// The host's door while one child is to come in, which may die at any step of it. A host that
/// waits at its door passes over those that are gone; so when the child is, somebody else knocks,
/// who is refused. Each wait ends so, without a clock.
class Door {
 public:
  Door(mews::Session& host, const mews::os::Child& child, std::string address)
      : host_(host),
        child_(child),
        knocker_([this, address = std::move(address)] { knock_after_its_end(address); }) {}
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;
  /// Not before the child's end.
  ~Door() {
    (void)mews::os::send_signal(child_.pidfd.get(), SIGKILL);
    knocker_.join();
  }

  /// The child; nothing when it died before it had a seat.
  [[nodiscard]] std::optional<mews::Plugin> admit() {
    auto admitted = host_.admit(kStuck);
    if (admitted) return std::move(*admitted);
    note(admitted.error());
    return std::nullopt;
  }
  /// Refuses the one who knocks when an admitted child has died.
  void close() {
    if (auto admitted = host_.admit(kStuck); admitted) {
      problem_ = "somebody was admitted";
    } else {
      note(admitted.error());
    }
  }
  /// What the door said that was neither a seat nor the refusal.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 private:
  void knock_after_its_end(const std::string& address) const {
    (void)mews::os::wait_for_exit(child_.pidfd.get(), mews::forever);
    const auto socket = mews::os::connect_unix(address, kStuck);
    if (!socket) return;
    constexpr std::array kNonsense{std::byte{0}};
    (void)mews::os::send_packet(socket->get(), kNonsense, {}, kStuck);
  }
  void note(const mews::Error& error) {
    if (error.code() != mews::ErrorCode::not_an_arena) problem_ = error.message();
  }

  mews::Session& host_;
  const mews::os::Child& child_;
  std::string problem_;
  std::thread knocker_;
};

}  // namespace mews_test
