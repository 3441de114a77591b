// SPDX-License-Identifier: MIT
#pragma once

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>

#include "crash/victim_log.hpp"
#include "mews/base/atomic.hpp"
#include "mews/os/futex.hpp"

/// Ends this process by SIGKILL right before its k-th kill point.
///
/// A kill point is a change that others can see: a shared store or exchange, a wake, a signal on a
/// descriptor, a packet, a name that appears or goes, an address that is bound or listened at, a
/// file's size, memory put behind a slab. Loads and fences change nothing, so a death before one of
/// them is a death before the next change. What is written between two changes without an atomic is
/// payload of a record or slab that no one looks at yet.
///
/// Counted is the thread that begins; others of the process die with it, wherever they are.
///
/// To be included by the one source file of a helper program: it takes the place of the C library's
/// functions at its end.
namespace mews_test::kill_point {

inline thread_local VictimLog* log = nullptr;  ///< null: nothing of this thread is counted
inline std::uint64_t kill_at = 0;              ///< 0: never

inline void pass() noexcept {
  if (log == nullptr || log->steps.fetch_add(1) + 1 != kill_at) return;
  ::kill(::getpid(), SIGKILL);
  for (;;)
    ::pause();
}

inline void on_step(mews::base::Step step, const volatile void*, std::size_t, std::memory_order) {
  if (step == mews::base::Step::store || step == mews::base::Step::exchange) pass();
}

/// The real futex, announced.
struct AnnouncedFutex final : mews::os::FutexModel {
  using Word = mews::base::Atomic<std::uint32_t>;
  mews::os::FutexWait wait(const Word& word, std::uint32_t expected, mews::Deadline) override {
    pass();
    // Nobody here waits with a deadline that matters: a test that sees no progress ends the child.
    const long status =
        ::syscall(SYS_futex, static_cast<const void*>(&word), FUTEX_WAIT, expected, nullptr);
    return status == 0 ? mews::os::FutexWait::woken : mews::os::FutexWait::changed;
  }
  int wake(const Word& word, int sleepers) override {
    pass();
    return static_cast<int>(
        ::syscall(SYS_futex, static_cast<const void*>(&word), FUTEX_WAKE, sleepers));
  }
};
inline AnnouncedFutex announced_futex;

/// From here on kill points count; at the `at`-th this process ends.
inline void begin(VictimLog& page, std::uint64_t at) noexcept {
  kill_at = at;
  log = &page;
  mews::base::step_hook = on_step;
  mews::os::futex_model = &announced_futex;
}
inline void end() noexcept {
  log = nullptr;
}

/// Runs a scope without kill points: what belongs to the test, not to the library.
class Pause {
 public:
  Pause() noexcept : held_(log) { log = nullptr; }
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;
  ~Pause() { log = held_; }

 private:
  VictimLog* held_;
};

}  // namespace mews_test::kill_point

extern "C" {
ssize_t write(int fd, const void* bytes, std::size_t count) {
  mews_test::kill_point::pass();
  return ::syscall(SYS_write, fd, bytes, count);
}
ssize_t send(int fd, const void* bytes, std::size_t count, int flags) {
  mews_test::kill_point::pass();
  return ::syscall(SYS_sendto, fd, bytes, count, flags, nullptr, 0);
}
int shutdown(int fd, int how) noexcept {
  mews_test::kill_point::pass();
  return static_cast<int>(::syscall(SYS_shutdown, fd, how));
}
int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
  if (operation == EPOLL_CTL_MOD) mews_test::kill_point::pass();  // a signal to this process's loop
  return static_cast<int>(::syscall(SYS_epoll_ctl, epoll, operation, fd, event));
}
ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  mews_test::kill_point::pass();
  return ::syscall(SYS_sendmsg, fd, message, flags);
}
ssize_t recvmsg(int fd, msghdr* message, int flags) {
  mews_test::kill_point::pass();
  return ::syscall(SYS_recvmsg, fd, message, flags);
}
int bind(int fd, const sockaddr* address, socklen_t bytes) noexcept {
  mews_test::kill_point::pass();
  return static_cast<int>(::syscall(SYS_bind, fd, address, bytes));
}
int listen(int fd, int backlog) noexcept {
  mews_test::kill_point::pass();
  return static_cast<int>(::syscall(SYS_listen, fd, backlog));
}
int connect(int fd, const sockaddr* address, socklen_t bytes) {
  mews_test::kill_point::pass();
  return static_cast<int>(::syscall(SYS_connect, fd, address, bytes));
}
int ftruncate(int fd, off_t bytes) noexcept {
  mews_test::kill_point::pass();
  return static_cast<int>(::syscall(SYS_ftruncate, fd, bytes));
}
int fallocate(int fd, int mode, off_t offset, off_t bytes) {
  mews_test::kill_point::pass();
  return static_cast<int>(::syscall(SYS_fallocate, fd, mode, offset, bytes));
}
int madvise(void* begin, std::size_t bytes, int advice) noexcept {
  mews_test::kill_point::pass();
  return static_cast<int>(::syscall(SYS_madvise, begin, bytes, advice));
}
int rename(const char* from, const char* to) noexcept {
  mews_test::kill_point::pass();
  return static_cast<int>(::syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
}
int unlink(const char* path) noexcept {
  mews_test::kill_point::pass();
  return static_cast<int>(::syscall(SYS_unlinkat, AT_FDCWD, path, 0));
}
// Where in the file system these lead is the C library's affair.
int shm_open(const char* name, int flags, mode_t mode) {
  static const auto real =
      reinterpret_cast<int (*)(const char*, int, mode_t)>(::dlsym(RTLD_NEXT, "shm_open"));
  if ((flags & O_CREAT) != 0) mews_test::kill_point::pass();
  return real(name, flags, mode);
}
int shm_unlink(const char* name) {
  static const auto real = reinterpret_cast<int (*)(const char*)>(::dlsym(RTLD_NEXT, "shm_unlink"));
  mews_test::kill_point::pass();
  return real(name);
}
}
