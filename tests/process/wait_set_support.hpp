// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "../support/process_state.hpp"
#include "mews/os/unique_fd.hpp"
#include "mews/wait_set.hpp"
#include "site.hpp"

/// What the tests of wait sets share.
namespace process_test {

using Keys = std::set<std::uint64_t>;

/// The keys of a report; each only once.
inline Keys keys_of(const mews::Result<std::span<const mews::WaitSet::Ready>>& report) {
  Keys keys;
  const auto ready = must(report);
  for (const auto& member : ready)
    REQUIRE(keys.insert(member.key).second);
  return keys;
}

/// A host, and so many plugins within this process; the set has their host's ends, by number.
class Crowd {
 public:
  explicit Crowd(std::uint32_t count) : host_(must(mews::Session::create(options(count)))) {
    for (std::uint32_t i = 0; i < count; ++i) {
      ends_.push_back(must(host_.connect("p" + std::to_string(i))));
      must(set_.add(here(i), i));
    }
  }

  [[nodiscard]] mews::Channel& here(std::size_t i) { return ends_[i].first.channel(); }
  [[nodiscard]] mews::Channel& there(std::size_t i) { return ends_[i].second.channel(); }
  [[nodiscard]] mews::WaitSet& set() { return set_; }
  [[nodiscard]] std::size_t size() const { return ends_.size(); }
  void send(std::size_t i) { must(there(i).send(bytes_of("x"))); }

 private:
  static mews::CreateOptions options(std::uint32_t count) {
    mews::CreateOptions options;
    options.max_plugins = count;
    return options;
  }

  mews::Session host_;
  std::vector<std::pair<mews::Plugin, mews::Session>> ends_;
  mews::WaitSet set_ = must(mews::WaitSet::create());
};

/// A crowd needs some ten descriptors for each member. Returns whether so many may be open.
inline bool may_have_members(std::uint32_t count) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t wanted = 12 * rlim_t{count} + 100;
  if (limit.rlim_cur >= wanted) return true;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == wanted;
}

/// How often this process's thread has gone to sleep: whoever makes a system call has woken up
/// first, and goes to sleep again.
inline std::uint64_t sleeps_of(pid_t thread) {
  std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
  for (std::string word; status >> word;) {
    std::uint64_t count = 0;
    if (word == "voluntary_ctxt_switches:" && status >> count) return count;
  }
  throw std::runtime_error("no such thread");
}

inline std::chrono::nanoseconds time_of_this_thread() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

/// Waits in a thread of its own, for ever, or until `wake`.
class Waiting {
 public:
  explicit Waiting(mews::WaitSet& set)
      : set_(set), thread_([this] {
          id_ = ::gettid();
          const auto before = time_of_this_thread();
          const auto report = set_.wait(mews::forever);
          time_ = time_of_this_thread() - before;
          for (const auto& member : report.value())
            keys_.insert(member.key);
        }) {}
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() {
    if (!thread_.joinable()) return;
    set_.wake();
    thread_.join();
  }

  /// How often it goes to sleep in that time, once it has come to rest.
  [[nodiscard]] std::uint64_t sleeps_in(std::chrono::milliseconds time) {
    const auto is_at_rest = [&] {
      if (!mews_test::is_seen_asleep(id_)) return false;
      const auto before = sleeps_of(id_);
      std::this_thread::sleep_for(10ms);
      return mews_test::state_of(id_) == 'S' && sleeps_of(id_) == before;
    };
    REQUIRE(eventually(is_at_rest));
    const auto before = sleeps_of(id_);
    std::this_thread::sleep_for(time);
    return sleeps_of(id_) - before;
  }
  [[nodiscard]] Keys keys() {
    thread_.join();
    return keys_;
  }
  /// Of the processor, for the whole wait. After `keys`.
  [[nodiscard]] std::chrono::nanoseconds time() const { return time_; }

 private:
  mews::WaitSet& set_;
  std::atomic<pid_t> id_{0};
  Keys keys_;
  std::chrono::nanoseconds time_{0};
  std::thread thread_;
};

/// For a thread beside one that looks whether somebody receives, and is in its way meanwhile.
inline mews::Message receive_beside(mews::Channel& channel) {
  for (;;) {
    auto message = channel.receive(kPatience);
    if (message) return std::move(*message);
    if (message.error().code() != mews::ErrorCode::concurrent_use) must(std::move(message));
  }
}

/// Waits until another thread is in `receive_beside`.
inline bool is_received_from(mews::Channel& channel) {
  return eventually([&] { return outcome(channel.try_receive()) == "concurrent_use"; });
}

struct Pipe {
  Pipe() {
    std::array<int, 2> raw{};
    REQUIRE(::pipe2(raw.data(), O_CLOEXEC | O_NONBLOCK) == 0);
    read = mews::os::UniqueFd(raw[0]);
    write = mews::os::UniqueFd(raw[1]);
  }
  mews::os::UniqueFd read;
  mews::os::UniqueFd write;
};

}  // namespace process_test
