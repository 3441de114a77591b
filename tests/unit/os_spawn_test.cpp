// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <string>
#include <vector>

#include "../support/catch.hpp"
#include "mews/os/process.hpp"
#include "mews/os/spawn.hpp"
#include "os_support.hpp"

using namespace mews::os;
using mews::ErrorCode;
using os_test::code_of;

namespace {

UniqueFd at_number(int fd, int least) {
  return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, least));
}

std::string outcome_of(const mews::Result<Child>& child) {
  if (!child) return child.error().message();
  if (!wait_for_exit(child->pidfd.get(), os_test::kPatience)) return "still running";
  const auto status = reap(child->pidfd.get());
  return status ? status->describe() : "not a child";
}

constexpr int kNoFilter = 77;

/// From now on close_range is no system call, as in older kernels.
bool forbid_close_range() {
  std::array<sock_filter, 4> program{{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 436, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  const sock_fprog filter{.len = program.size(), .filter = program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/// Whether the program of a new child has `fd`.
bool is_passed_on(int fd, std::vector<int> listed) {
  const auto path = "/proc/self/fd/" + std::to_string(fd);
  return outcome_of(spawn({.arguments = {"sh", "-c", "test -e " + path},
                           .environment = {},
                           .inherited_fds = std::move(listed)})) == "exit code 0";
}

/// Runs a shell script with one descriptor, {fd}, to write to; what it wrote.
std::string written_by(const std::string& script, std::vector<std::string> environment = {}) {
  auto pipe = os_test::make_pipe();
  const auto output = "/proc/self/fd/" + std::to_string(pipe.writer.get());
  const auto child = spawn({.arguments = {"sh", "-c", "exec >" + output + "; " + script},
                            .environment = std::move(environment),
                            .inherited_fds = {pipe.writer.get()}});
  pipe.writer.reset();
  const auto text = os_test::read_all(pipe.reader.get());
  const auto outcome = outcome_of(child);
  return outcome == "exit code 0" ? text : outcome;
}

}  // namespace

TEST_CASE("os: a program that cannot be executed is spawn_failed with its errno and path") {
  const auto missing =
      spawn({.arguments = {"/nonexistent/plugin"}, .environment = {}, .inherited_fds = {}});
  REQUIRE(code_of(missing) == ErrorCode::spawn_failed);
  CHECK(missing.error().os_errno() == ENOENT);
  CHECK_THAT(missing.error().message(), Catch::Matchers::ContainsSubstring("/nonexistent/plugin"));

  const auto directory = spawn({.arguments = {"/tmp"}, .environment = {}, .inherited_fds = {}});
  REQUIRE(code_of(directory) == ErrorCode::spawn_failed);
  CHECK(directory.error().os_errno() == EACCES);
}

TEST_CASE("os: a spawn that failed leaves no child") {
  CHECK_FALSE(
      spawn({.arguments = {"/nonexistent/plugin"}, .environment = {}, .inherited_fds = {}}));
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
}

TEST_CASE("os: what cannot be spawned in good sense is invalid_argument") {
  const auto closed = [] {
    const auto pipe = os_test::make_pipe();
    return pipe.reader.get();
  }();
  for (const auto& options : std::vector<SpawnOptions>{
           {.arguments = {}, .environment = {}, .inherited_fds = {}},
           {.arguments = {""}, .environment = {}, .inherited_fds = {}},
           {.arguments = {"true", std::string("a\0b", 3)}, .environment = {}, .inherited_fds = {}},
           {.arguments = {"true"}, .environment = {"NO_VALUE"}, .inherited_fds = {}},
           {.arguments = {"true"}, .environment = {"=value"}, .inherited_fds = {}},
           {.arguments = {"true"}, .environment = {}, .inherited_fds = {-1}},
           {.arguments = {"true"}, .environment = {}, .inherited_fds = {closed}}}) {
    CHECK(code_of(spawn(options)) == ErrorCode::invalid_argument);
  }
}

TEST_CASE("os: a program without a slash is looked up in PATH, and its arguments arrive whole") {
  CHECK(outcome_of(spawn({.arguments = {"sh", "-c", "test \"$1\" = 'a  b' && exit 7", "x", "a  b"},
                          .environment = {},
                          .inherited_fds = {}})) == "exit code 7");
}

TEST_CASE(
    "os: listed descriptors keep their numbers, close-on-exec ones that are not listed close") {
  auto pipe = os_test::make_pipe();
  const auto listed = at_number(pipe.writer.get(), 50);
  const auto unlisted = at_number(pipe.writer.get(), 60);
  const auto path = [](const UniqueFd& fd) { return "/proc/self/fd/" + std::to_string(fd.get()); };
  const auto child = spawn(
      {.arguments = {"sh", "-c", "echo here >" + path(listed) + " && test ! -e " + path(unlisted)},
       .environment = {},
       .inherited_fds = {listed.get(), listed.get()}});
  CHECK(outcome_of(child) == "exit code 0");
  CHECK((::fcntl(listed.get(), F_GETFD) & FD_CLOEXEC) != 0);
  char text[5] = {};
  REQUIRE(::read(pipe.reader.get(), text, 4) == 4);
  CHECK(std::string(text) == "here");
}

TEST_CASE("os: variables are added to the environment or replace what is there") {
  REQUIRE(::setenv("MEWS_TEST_OLD", "old", 1) == 0);
  REQUIRE(::setenv("MEWS_TEST_KEPT", "kept", 1) == 0);
  const auto text = written_by("echo $MEWS_TEST_OLD,$MEWS_TEST_KEPT,$MEWS_TEST_NEW,$MEWS_TEST",
                               {"MEWS_TEST_OLD=first", "MEWS_TEST_OLD=a=b", "MEWS_TEST_NEW="});
  CHECK(text == "a=b,kept,,\n");
  CHECK(written_by("env | grep -c ^MEWS_TEST_OLD=", {"MEWS_TEST_OLD=x"}) == "1\n");
  ::unsetenv("MEWS_TEST_OLD");
  ::unsetenv("MEWS_TEST_KEPT");
}

TEST_CASE("os: a child starts with default signal dispositions and an empty mask") {
  sigset_t term;
  sigset_t before;
  ::sigemptyset(&term);
  ::sigaddset(&term, SIGTERM);
  REQUIRE(::pthread_sigmask(SIG_BLOCK, &term, &before) == 0);
  auto* const hup = ::signal(SIGHUP, SIG_IGN);
  const auto terminated = spawn(
      {.arguments = {"sh", "-c", "kill -TERM $$; exit 0"}, .environment = {}, .inherited_fds = {}});
  const auto hung_up = spawn(
      {.arguments = {"sh", "-c", "kill -HUP $$; exit 0"}, .environment = {}, .inherited_fds = {}});
  ::signal(SIGHUP, hup);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  CHECK(outcome_of(terminated) == "signal 15 (Terminated)");
  CHECK(outcome_of(hung_up) == "signal 1 (Hangup)");
}

TEST_CASE("os: a spawned child's descriptor names that child") {
  const auto child =
      spawn({.arguments = {"sleep", "600"}, .environment = {}, .inherited_fds = {}}).value();
  CHECK_FALSE(os_test::has_exited(child.pidfd.get()));
  REQUIRE(send_signal(child.pidfd.get(), SIGKILL));
  REQUIRE(wait_for_exit(child.pidfd.get(), os_test::kPatience));
  CHECK(reap(child.pidfd.get()).value().describe() == "signal 9 (Killed)");
}

TEST_CASE("os: an inheritable descriptor that is not listed closes, also without close_range") {
  const bool is_old = GENERATE(false, true);
  os_test::Fork child([is_old] {
    if (is_old && !forbid_close_range()) return kNoFilter;
    const UniqueFd inheritable(::fcntl(1, F_DUPFD, 70));
    if (is_passed_on(inheritable.get(), {})) return 1;
    return is_passed_on(inheritable.get(), {inheritable.get()}) ? 0 : 2;
  });
  const auto ended = child.outcome();
  if (ended == "exit code 77") SKIP("no seccomp");
  CHECK(ended == "exit code 0");
}

TEST_CASE("os: a search path is walked as execvpe does, and its end says why") {
  const os_test::TempDir directory;
  const auto failure_of = [&](const std::string& path) {
    const auto child =
        spawn({.arguments = {"a"}, .environment = {}, .inherited_fds = {}, .search_path = path});
    return child ? 0 : child.error().os_errno();
  };
  CHECK(failure_of("/nonexistent:" + directory.path()) == ENOENT);
  std::ofstream(directory.file("a")) << "exit 5\n";
  CHECK(failure_of(directory.path() + ":/nonexistent") == EACCES);
  REQUIRE(::chmod(directory.file("a").c_str(), 0755) == 0);
  CHECK(failure_of("/nonexistent:" + directory.path()) == ENOEXEC);  // no interpreter is guessed
  std::ofstream(directory.file("a")) << "#!/bin/sh\nexit 5\n";
  CHECK(outcome_of(spawn({.arguments = {"a"},
                          .environment = {},
                          .inherited_fds = {},
                          .search_path = "/nonexistent:" + directory.path()})) == "exit code 5");
}
