// SPDX-License-Identifier: MIT
#include "mews/os/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "mews/base/assert.hpp"
#include "poll_until.hpp"

namespace mews::os {
namespace {

constexpr auto kPidfd = static_cast<idtype_t>(3);  // P_PIDFD, which old libc headers do not name

std::string_view name_of(std::string_view variable) noexcept {
  return variable.substr(0, variable.find('='));
}

/// `merged`, with what `added` names left out, and then `added`.
std::vector<std::string> merged_environment(std::vector<std::string> merged,
                                            const std::vector<std::string>& added) {
  for (const auto& variable : added) {
    std::erase_if(merged, [&](const auto& old) { return name_of(old) == name_of(variable); });
    merged.push_back(variable);
  }
  return merged;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& text : texts)
    pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

bool has_nul(const std::string& text) noexcept {
  return text.find('\0') != std::string::npos;
}

Result<void> check(const SpawnOptions& options) {
  const auto invalid = [](std::string detail) {
    return fail(ErrorCode::invalid_argument, "spawn: " + std::move(detail));
  };
  if (options.arguments.empty() || options.arguments[0].empty()) return invalid("no program named");
  if (std::ranges::any_of(options.arguments, has_nul)) return invalid("an argument holds a NUL");
  for (const auto& variable : options.environment) {
    const auto name = name_of(variable);
    if (name.empty() || name.size() == variable.size() || has_nul(variable))
      return invalid(fmt::format("'{}' is not NAME=value", variable));
  }
  for (const int fd : options.inherited_fds) {
    if (::fcntl(fd, F_GETFD) < 0) return invalid(fmt::format("descriptor {} is not open", fd));
  }
  return {};
}

/// The two argument objects of posix_spawn, which want to be destroyed.
class SpawnPlan {
 public:
  SpawnPlan() noexcept {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    ::posix_spawnattr_destroy(&attributes_);
    ::posix_spawn_file_actions_destroy(&actions_);
  }

  /// 0 or an errno, as the calls below.
  [[nodiscard]] int inherit(const std::vector<int>& fds) noexcept {
    for (const int fd : fds) {
      // Onto itself: that clears close-on-exec in the child, and only there.
      const int failure = ::posix_spawn_file_actions_adddup2(&actions_, fd, fd);
      if (failure != 0) return failure;
    }
    return 0;
  }
  [[nodiscard]] int reset_signals() noexcept {
    sigset_t none;
    sigset_t all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::sigdelset(&all, SIGKILL);
    ::sigdelset(&all, SIGSTOP);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    return ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  [[nodiscard]] int run(pid_t& pid, char** arguments, char** environment) const noexcept {
    return ::posix_spawnp(&pid, arguments[0], &actions_, &attributes_, arguments, environment);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

}  // namespace

std::vector<std::string> environment() {
  std::vector<std::string> variables;
  for (char** variable = ::environ; variable != nullptr && *variable != nullptr; ++variable)
    variables.emplace_back(*variable);
  return variables;
}

Result<UniqueFd> open_pidfd(pid_t pid) {
  auto fd = own_fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));  // close-on-exec
  if (!fd) return tl::unexpected(Error::os(errno, "pidfd_open", fmt::format("process {}", pid)));
  return fd;
}

std::optional<std::uint64_t> process_start_time(pid_t pid) {
  const auto fd = own_fd(::open(fmt::format("/proc/{}/stat", pid).c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 2048> buffer{};
  const auto count = ::read(fd.get(), buffer.data(), buffer.size());
  if (count <= 0) return std::nullopt;
  std::string_view text(buffer.data(), static_cast<std::size_t>(count));
  // Field 2 is the program's name, which may hold blanks and parentheses: count from its end.
  const auto name_end = text.rfind(')');
  if (name_end == std::string_view::npos) return std::nullopt;
  text.remove_prefix(name_end + 1);
  constexpr int kFieldsFromName = 20;  // ") " opens field 3; the start time is field 22
  for (int i = 0; i < kFieldsFromName; ++i) {
    const auto blank = text.find(' ');
    if (blank == std::string_view::npos) return std::nullopt;
    text.remove_prefix(blank + 1);
  }
  std::uint64_t ticks = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), ticks);
  if (parsed.ec != std::errc{}) return std::nullopt;
  return ticks;
}

std::string ExitStatus::describe() const {
  if (!is_signal) return fmt::format("exit code {}", number);
  const char* name = ::strsignal(number);
  return fmt::format("signal {} ({})", number, name != nullptr ? name : "unknown");
}

std::optional<ExitStatus> reap(int pidfd) noexcept {
  siginfo_t info{};
  int status = 0;
  do {
    status = ::waitid(kPidfd, static_cast<id_t>(pidfd), &info, WEXITED | WNOHANG);
  } while (status != 0 && errno == EINTR);
  if (status != 0 || info.si_pid == 0) return std::nullopt;
  return ExitStatus{.is_signal = info.si_code != CLD_EXITED, .number = info.si_status};
}

bool wait_for_exit(int pidfd, Deadline deadline) noexcept {
  const short events = poll_until(pidfd, POLLIN, deadline);
  // Neither answer would be true of a descriptor that is none, and "gone" gets memory reclaimed.
  MEWS_ASSERT((events & POLLNVAL) == 0, "wait_for_exit: not an open descriptor");
  return events != 0;
}

Result<void> send_signal(int pidfd, int signal_number) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal_number, nullptr, 0U) == 0) return {};
  return tl::unexpected(
      Error::os(errno, "pidfd_send_signal", fmt::format("signal {}", signal_number)));
}

Result<Child> spawn(const SpawnOptions& options) {
  if (auto checked = check(options); !checked) return tl::unexpected(checked.error());
  auto arguments = options.arguments;
  auto environment =
      merged_environment(options.base_environment ? *options.base_environment : os::environment(),
                         options.environment);
  SpawnPlan plan;
  Child child;
  int failure = plan.inherit(options.inherited_fds);
  if (failure == 0) failure = plan.reset_signals();
  if (failure == 0) {
    failure = plan.run(child.pid, pointers_to(arguments).data(), pointers_to(environment).data());
  }
  if (failure != 0) return fail(ErrorCode::spawn_failed, failure, arguments[0]);

  auto pidfd = open_pidfd(child.pid);
  if (pidfd) {
    child.pidfd = std::move(*pidfd);
    return child;
  }
  // ESRCH: it has ended and somebody else took its status (SIGCHLD is ignored, say), so the number
  // may be another process's by now. Otherwise it is ours to stop: nobody could watch it.
  if (pidfd.error().os_errno() != ESRCH) {
    ::kill(child.pid, SIGKILL);
    while (::waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  return fail(ErrorCode::spawn_failed, pidfd.error().os_errno(),
              fmt::format("{}: {}", arguments[0], pidfd.error().detail()));
}

}  // namespace mews::os
