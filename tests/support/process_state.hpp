// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "mews/deadline.hpp"

/// States of processes and threads, by the kernel.
namespace mews_test {

/// The state letter of a process or thread: 'S' asleep, 'T' stopped, 'Z' a zombie; '?' for none.
[[nodiscard]] inline char state_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  // The state follows the name, which may hold blanks and parentheses.
  const auto end = text.rfind(')');
  return end == std::string::npos ? '?' : text.at(end + 2);
}

/// The threads of this process; one that has just been joined may still be among them.
[[nodiscard]] inline std::vector<pid_t> threads_of_this_process() {
  std::vector<pid_t> threads;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    threads.push_back(std::stoi(entry.path().filename()));
  }
  return threads;
}

/// Waits until the thread of this process with that number sleeps; returns false if it never does.
[[nodiscard]] inline bool is_seen_asleep(const std::atomic<pid_t>& thread) {
  const mews::Deadline deadline(std::chrono::seconds(60));
  while (!deadline.has_passed()) {
    if (thread != 0 && state_of(thread) == 'S') return true;
    std::this_thread::yield();
  }
  return false;
}

/// Returns the size of this process's mapped address space.
[[nodiscard]] inline std::uint64_t address_space_kib() {
  std::ifstream file("/proc/self/status");
  for (std::string word; file >> word;) {
    std::uint64_t kib = 0;
    if (word == "VmSize:" && file >> kib) return kib;
  }
  return 0;
}

/// Returns the number of this process's open descriptors.
[[nodiscard]] inline std::ptrdiff_t descriptors_of_this_process() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

/// Waits until this process's other threads are asleep or gone, but no longer than a second.
inline void let_other_threads_rest() {
  const mews::Deadline deadline(std::chrono::seconds(1));
  for (const pid_t thread : threads_of_this_process()) {
    while (thread != ::gettid() && !deadline.has_passed()) {
      const char state = state_of(thread);
      if (state == 'S' || state == '?') break;
      std::this_thread::yield();
    }
  }
}

}  // namespace mews_test
