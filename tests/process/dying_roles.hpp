// SPDX-License-Identifier: MIT
#pragma once

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

#include "roles.hpp"
#include "standard_fds.hpp"

/// Roles that only a process of its own can play: they die, hang, ignore, and fork.
namespace process_test {

[[noreturn]] inline void hang() {
  for (;;)
    ::pause();
}

/// Sends `count` messages of the stream `salt` and dies in the same breath.
[[noreturn]] inline void burst_and_die(mews::Channel& channel, const Words& words) {
  static_cast<void>(send_stream(channel, std::stoull(words.at(1)), std::stoull(words.at(2))));
  ::raise(SIGKILL);
  hang();
}

/// "pour BYTES": sends all memory of that size there is, and dies.
[[noreturn]] inline void pour_and_die(mews::Channel& channel, const Words& words) {
  while (auto loan = channel.try_loan(std::stoull(words.at(1))))
    must(channel.send(std::move(*loan)));
  ::raise(SIGKILL);
  hang();
}

/// A child without exec writes to a loan of its parent's; how it ended.
[[nodiscard]] inline std::string write_from_child(mews::Loan& loan) {
  const auto child = ::fork();
  if (child == 0) {
    ::signal(SIGSEGV, SIG_DFL);
    auto* byte = reinterpret_cast<volatile char*>(loan.bytes().data());
    *byte = 'x';
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) return "signal " + std::to_string(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

/// "outlast send|fill|loan": sends, or takes memory, until that is no more; for a host whose
/// session ends while its process lives.
[[nodiscard]] inline int outlast(mews::Channel& channel, const std::string& what) {
  must(channel.send(bytes_of("ready")));
  if (what == "loan") {
    std::vector<mews::Loan> loans;
    for (;;) {
      auto loan = channel.loan(4096, mews::forever);
      if (!loan) return exit_code(loan.error());
      loans.push_back(std::move(*loan));
    }
  }
  for (;;) {
    const auto sent = channel.send(bytes_of("x"), {}, mews::forever);
    if (!sent) return exit_code(sent.error());
    if (what == "send") std::this_thread::sleep_for(5ms);  // there is always room
  }
}

/// Says what became of a child that wrote to the arena; then leaves one behind that hangs, says
/// its process id, and dies.
[[noreturn]] inline void fork_and_die(mews::Channel& channel) {
  auto loan = must(channel.loan(4096));
  must(channel.send(bytes_of(write_from_child(loan))));
  const auto heir = ::fork();
  if (heir == 0) hang();
  must(channel.send(bytes_of(std::to_string(heir))));
  ::raise(SIGKILL);
  hang();
}

/// "outlive KIND FD": blocks in a call until the host is dead, and writes what it said to FD.
[[nodiscard]] inline int outlive(mews::Channel& channel, const Words& words) {
  const auto& kind = words.at(1);
  std::vector<mews::Loan> loans;
  if (kind == "loan") {
    while (auto loan = channel.try_loan(4096))
      loans.push_back(std::move(*loan));
  }
  must(channel.send(bytes_of("ready")));
  std::string said;
  if (kind == "receive") {
    for (int received = 0;; ++received) {
      const auto message = channel.receive(mews::forever);
      if (message) continue;
      said = std::to_string(received) + " messages, then " + outcome(message);
      break;
    }
  } else if (kind == "send") {
    for (mews::Result<void> sent; sent;) {
      sent = channel.send(bytes_of("more"), {}, mews::forever);
      said = outcome(sent);
    }
  } else {
    said = outcome(channel.loan(4096, mews::forever));
  }
  return ::write(std::stoi(words.at(2)), said.data(), said.size()) > 0 ? 0 : 1;
}

/// "outlive events FD": the same in an event loop, without a watcher thread; what it sees before
/// and after it lets the session look.
[[nodiscard]] inline int outlive_by_events(mews::Session& session, const Words& words) {
  auto& channel = session.channel();
  must(channel.send(bytes_of("ready")));
  for (int i = 0; i < 3; ++i)
    must(channel.receive(kPatience));
  session.process_events();
  auto said = outcome(channel.try_receive());
  pollfd watched{.fd = session.watch_fd(), .events = POLLIN, .revents = 0};
  ::poll(&watched, 1, -1);
  said += ", " + outcome(channel.try_receive());
  session.process_events();
  said += ", then " + outcome(channel.receive(kPatience));
  return ::write(std::stoi(words.at(2)), said.data(), said.size()) > 0 ? 0 : 1;
}

/// The exit code, or nothing when it is not one of these roles.
[[nodiscard]] inline std::optional<int> play_dying(mews::Session& session, const Words& words) {
  const auto& role = words.at(0);
  auto& channel = session.channel();
  if (role == "standard") return standard(channel, words);
  if (role == "exit") ::_exit(std::stoi(words.at(1)));
  if (role == "burst") burst_and_die(channel, words);
  if (role == "pour") pour_and_die(channel, words);
  if (role == "fork") fork_and_die(channel);
  if (role == "outlive" && words.at(1) == "events") return outlive_by_events(session, words);
  if (role == "outlive") return outlive(channel, words);
  if (role == "outlast") return outlast(channel, words.at(1));
  if (role == "leave_on_request") {
    (void)channel.receive(mews::forever);
    { const mews::Session ended = std::move(session); }
    hang();
  }
  if (role == "mute" || role == "deaf") {
    if (role == "deaf") ::signal(SIGTERM, SIG_IGN);
    must(channel.send(bytes_of("here")));
    hang();
  }
  if (role == "busy") {
    // Answers once, then never looks again.
    must(channel.send(bytes_of("here")));
    must(channel.receive(kPatience));
    must(channel.send(bytes_of("busy from now on")));
    for (volatile unsigned turns = 0;;)
      turns = turns + 1;
  }
  if (role == "crash_on_request") {
    // 'x' after exit code, 's' after a signal.
    const auto message = channel.receive(mews::forever);
    if (message && message->text() == "x") ::_exit(7);
    if (message && message->text() == "s") {
      ::signal(SIGSEGV, SIG_DFL);  // a sanitizer would turn it into an exit code
      ::raise(SIGSEGV);
    }
    return 0;
  }
  if (role == "hold_and_hang") {
    std::vector<mews::Loan> loans;
    while (auto loan = channel.try_loan(std::stoull(words.at(1))))
      loans.push_back(std::move(*loan));
    must(channel.send(bytes_of(std::to_string(loans.size()))));
    hang();
  }
  return std::nullopt;
}

}  // namespace process_test
