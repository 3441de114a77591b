// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "../support/process_state.hpp"
#include "mews/error.hpp"
#include "mews/os/process.hpp"
#include "mews/os/spawn.hpp"
#include "mews/os/unique_fd.hpp"

/// What the tests of the os layer share.
namespace os_test {

/// So long that only a hang reaches it; no test waits for it to pass.
inline constexpr std::chrono::seconds kPatience{60};

/// Whether the process behind `pidfd` is gone.
[[nodiscard]] inline bool has_exited(int pidfd) {
  return mews::os::wait_for_exit(pidfd, std::chrono::seconds(0));
}

template <class T>
std::optional<mews::ErrorCode> code_of(const mews::Result<T>& result) {
  return result ? std::nullopt : std::optional(result.error().code());
}

/// A forked child without exec. It is killed, if need be, and reaped by the end of the scope.
class Fork {
 public:
  /// Runs `body` in the child and exits with the int it returns; no Catch2 macro works in there.
  template <class Body>
  explicit Fork(Body body) {
    // The child has what locks other threads hold, and not those threads to let go of them: a
    // sanitizer's allocator has some, and unlike glibc's it does not see to them at a fork.
    mews_test::let_other_threads_rest();
    pid_ = ::fork();
    if (pid_ == 0) {
      const rlimit no_core{0, 0};
      ::setrlimit(RLIMIT_CORE, &no_core);
      ::_exit(body());
    }
    if (auto pidfd = mews::os::open_pidfd(pid_)) pidfd_ = std::move(*pidfd);
  }
  Fork(const Fork&) = delete;
  Fork& operator=(const Fork&) = delete;
  ~Fork() {
    if (is_reaped_ || pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  [[nodiscard]] pid_t pid() const { return pid_; }
  [[nodiscard]] int pidfd() const { return pidfd_.get(); }
  /// How it ended, as text ("exit code 0"); "still running" when patience ends.
  [[nodiscard]] std::string outcome() {
    if (!mews::os::wait_for_exit(pidfd_.get(), kPatience)) return "still running";
    const auto status = mews::os::reap(pidfd_.get());
    is_reaped_ = status.has_value();
    return status ? status->describe() : "not a child";
  }

 private:
  pid_t pid_ = -1;
  mews::os::UniqueFd pidfd_;
  bool is_reaped_ = false;
};

struct Pipe {
  mews::os::UniqueFd reader;
  mews::os::UniqueFd writer;
};

inline Pipe make_pipe() {
  std::array<int, 2> fds{-1, -1};
  if (::pipe2(fds.data(), O_CLOEXEC) != 0) ::abort();
  return {mews::os::UniqueFd(fds[0]), mews::os::UniqueFd(fds[1])};
}

/// All that comes out of `fd` until its end.
inline std::string read_all(int fd) {
  std::string text;
  std::array<char, 512> part{};
  for (ssize_t n = 0; (n = ::read(fd, part.data(), part.size())) > 0;) {
    text.append(part.data(), static_cast<std::size_t>(n));
  }
  return text;
}

/// A directory of its own for a test, removed with the files `a` and `b` in it.
class TempDir {
 public:
  TempDir() : path_("/tmp/mews-test-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) ::abort();
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    ::unlink((path_ + "/a").c_str());
    ::unlink((path_ + "/b").c_str());
    ::rmdir(path_.c_str());
  }
  [[nodiscard]] std::string file(const char* name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace os_test
