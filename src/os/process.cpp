// SPDX-License-Identifier: MIT
#include "mews/os/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

#include "mews/base/assert.hpp"
#include "poll_until.hpp"

namespace mews::inline MEWS_LAYOUT::os {
namespace {

constexpr auto kPidfd = static_cast<idtype_t>(3);  // P_PIDFD, which old libc headers do not name

int wait_id(int pidfd, siginfo_t& info, int options) noexcept {
  int status = 0;
  do {
    status = ::waitid(kPidfd, static_cast<id_t>(pidfd), &info, options);
  } while (status != 0 && errno == EINTR);
  return status;
}

}  // namespace

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
  const int status = wait_id(pidfd, info, WEXITED | WNOHANG);
  if (status != 0 || info.si_pid == 0) return std::nullopt;
  return ExitStatus{.is_signal = info.si_code != CLD_EXITED, .number = info.si_status};
}

bool is_reapable(int pidfd) noexcept {
  siginfo_t info{};
  return wait_id(pidfd, info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

bool wait_for_exit(int pidfd, Deadline deadline) noexcept {
  const short events = poll_until(pidfd, POLLIN, deadline);
  // Neither answer would be true for an invalid descriptor, and after "gone" the memory is
  // reclaimed.
  MEWS_ASSERT((events & POLLNVAL) == 0, "wait_for_exit: not an open descriptor");
  return events != 0;
}

Result<void> send_signal(int pidfd, int signal_number) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal_number, nullptr, 0U) == 0) return {};
  return tl::unexpected(
      Error::os(errno, "pidfd_send_signal", fmt::format("signal {}", signal_number)));
}

}  // namespace mews::inline MEWS_LAYOUT::os
