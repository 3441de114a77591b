// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>

#include "../support/catch.hpp"
#include "mews/os/process.hpp"
#include "os_support.hpp"

using namespace mews::os;
using namespace std::chrono_literals;
using mews::ErrorCode;
using os_test::code_of;
using os_test::Fork;
using os_test::has_exited;

namespace {

int sleep_for_ever() {
  for (;;)
    ::pause();
}

}  // namespace

TEST_CASE("os: a zombie has exited, and stays so when it is reaped") {
  Fork child([] { return 3; });
  REQUIRE(wait_for_exit(child.pidfd(), os_test::kPatience));
  CHECK(has_exited(child.pidfd()));
  CHECK(process_start_time(child.pid()));
  CHECK(child.outcome() == "exit code 3");
  CHECK(has_exited(child.pidfd()));
  CHECK_FALSE(reap(child.pidfd()));
  CHECK_FALSE(process_start_time(child.pid()));
  CHECK(open_pidfd(child.pid()).error().os_errno() == ESRCH);
  CHECK(send_signal(child.pidfd(), 0).error().os_errno() == ESRCH);
}

TEST_CASE("os: a running process has not exited and cannot be reaped") {
  const Fork child(sleep_for_ever);
  CHECK_FALSE(has_exited(child.pidfd()));
  CHECK_FALSE(wait_for_exit(child.pidfd(), 5ms));
  CHECK_FALSE(reap(child.pidfd()));
}

TEST_CASE("os: a stopped process has not exited, a killed one has") {
  Fork child(sleep_for_ever);
  REQUIRE(send_signal(child.pidfd(), SIGSTOP));
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child.pid()), &info, WSTOPPED) == 0);
  CHECK_FALSE(has_exited(child.pidfd()));
  CHECK_FALSE(reap(child.pidfd()));
  REQUIRE(send_signal(child.pidfd(), SIGKILL));
  CHECK(child.outcome() == "signal 9 (Killed)");
}

TEST_CASE("os: a grandchild that holds its descriptors does not hide a child's death") {
  auto held = os_test::make_pipe();
  auto life = os_test::make_pipe();
  Fork child([&] {
    life.writer.reset();
    if (::fork() != 0) return 0;
    char byte = 0;  // the grandchild lives until the test closes the pipe
    return static_cast<int>(::read(life.reader.get(), &byte, 1));
  });
  held.writer.reset();
  CHECK(child.outcome() == "exit code 0");
  pollfd entry{held.reader.get(), POLLIN, 0};
  CHECK(::poll(&entry, 1, 0) == 0);  // no end of file yet: the grandchild has the writer
  life.writer.reset();
  CHECK(os_test::read_all(held.reader.get()).empty());
}

TEST_CASE("os: a process that is no child can be watched, but not reaped") {
  const auto self = open_pidfd(::getpid()).value();
  CHECK_FALSE(has_exited(self.get()));
  CHECK_FALSE(reap(self.get()));
  CHECK(send_signal(self.get(), 0));
  CHECK((::fcntl(self.get(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("os: a start time does not depend on what a process calls itself") {
  auto ready = os_test::make_pipe();
  Fork child([&] {
    ::prctl(PR_SET_NAME, "a) R 1 (2 3) 4");
    ready.writer.reset();
    return sleep_for_ever();
  });
  const auto before = process_start_time(child.pid());
  ready.writer.reset();
  CHECK(os_test::read_all(ready.reader.get()).empty());
  const auto after = process_start_time(child.pid());
  REQUIRE(before);
  CHECK(before == after);
  CHECK(*before >= process_start_time(::getpid()).value());
}

TEST_CASE("os: a process number that cannot be is an error") {
  CHECK(code_of(open_pidfd(-1)) == ErrorCode::os_error);
  CHECK_FALSE(process_start_time(-1));
}

TEST_CASE("os: an exit status says how a child ended") {
  CHECK(ExitStatus{.is_signal = false, .number = 3}.describe() == "exit code 3");
  CHECK(ExitStatus{.is_signal = true, .number = SIGSEGV}.describe() ==
        "signal 11 (Segmentation fault)");
}
