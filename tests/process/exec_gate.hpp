// SPDX-License-Identifier: MIT
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "mews/os/unique_fd.hpp"

namespace process_test {

/// Stops children of this process where they execute a program of one name, as a file system that
/// does not answer would: the kernel asks a thread of this process about each execve. For a process
/// of its own, as it cannot be undone; to be made while there is one thread.
class ExecGate {
 public:
  explicit ExecGate(std::string program) : program_(std::move(program)), listener_(listen()) {
    if (listener_) thread_ = std::thread([this] { answer(); });
  }
  ExecGate(const ExecGate&) = delete;
  ExecGate& operator=(const ExecGate&) = delete;
  ~ExecGate() {
    is_over_ = true;
    if (thread_.joinable()) thread_.join();
  }

  /// Whether the kernel has what this needs.
  [[nodiscard]] bool is_there() const { return static_cast<bool>(listener_); }
  void close() { is_closed_ = true; }
  /// Lets go on whoever was held, and whoever comes.
  void open() {
    is_closed_ = false;
    const std::lock_guard lock(mutex_);
    for (const auto id : held_)
      let_go_on(id);
    held_.clear();
  }
  /// How many have been held so far.
  [[nodiscard]] int count() const { return count_; }

 private:
  static mews::os::UniqueFd listen() {
    std::array<sock_filter, 4> code{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog filter{.len = code.size(), .filter = code.data()};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return {};
    return mews::os::UniqueFd(static_cast<int>(::syscall(
        SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter)));
  }

  void answer() {
    while (!is_over_) {
      pollfd entry{.fd = listener_.get(), .events = POLLIN, .revents = 0};
      if (::poll(&entry, 1, 10) != 1) continue;
      seccomp_notif asked{};
      if (::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) continue;
      // The child is in this process's memory until it executes.
      const auto* path = reinterpret_cast<const char*>(asked.data.args[0]);
      const std::lock_guard lock(mutex_);
      if (is_closed_ && path == program_) {
        held_.push_back(asked.id);
        ++count_;
      } else {
        let_go_on(asked.id);
      }
    }
  }
  void let_go_on(std::uint64_t id) const {
    seccomp_notif_resp answer{};
    answer.id = id;
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    ::ioctl(listener_.get(), SECCOMP_IOCTL_NOTIF_SEND, &answer);
  }

  const std::string program_;
  const mews::os::UniqueFd listener_;
  std::mutex mutex_;
  std::vector<std::uint64_t> held_;
  std::atomic<bool> is_closed_{true};
  std::atomic<bool> is_over_{false};
  std::atomic<int> count_{0};
  std::thread thread_;
};

}  // namespace process_test
