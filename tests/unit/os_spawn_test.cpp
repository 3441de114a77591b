// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
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
