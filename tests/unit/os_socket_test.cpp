// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "mews/os/socket.hpp"
#include "os_support.hpp"

using namespace mews::os;
using namespace std::chrono_literals;
using mews::ErrorCode;
using os_test::code_of;

namespace {

std::string abstract_address(const char* test) {
  return "@mews-test-" + std::to_string(::getpid()) + "-" + test;
}

/// A path whose listener is gone: a killed process leaves one like it.
void leave_stale(const std::string& path) {
  REQUIRE(listen_unix(path));
}

mode_t mode_of(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? status.st_mode : 0;
}

}  // namespace

TEST_CASE("os: a connection is made at a path and at an abstract address") {
  const os_test::TempDir directory;
  for (const auto& address : {directory.file("a"), abstract_address("both")}) {
    const auto listener = listen_unix(address).value();
    const auto client = connect_unix(address, os_test::kPatience).value();
    const auto server = accept_unix(listener.get(), os_test::kPatience).value();
    for (const int fd : {listener.get(), client.get(), server.get()}) {
      CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    }
    const std::byte hello{42};
    REQUIRE(send_packet(client.get(), {&hello, 1}, {}, os_test::kPatience));
    const auto packet = receive_packet(server.get(), os_test::kPatience).value();
    CHECK(packet.bytes == std::vector{hello});
  }
}

TEST_CASE("os: a socket's path is this user's only, whatever the umask") {
  const os_test::TempDir directory;
  const auto before = ::umask(0);
  const auto listener = listen_unix(directory.file("a"));
  ::umask(before);
  REQUIRE(listener);
  CHECK((mode_of(directory.file("a")) & 0777) == 0600);
}

TEST_CASE("os: the path of a dead listener is replaced") {
  const os_test::TempDir directory;
  leave_stale(directory.file("a"));
  CHECK(code_of(connect_unix(directory.file("a"), 0s)) == ErrorCode::no_such_arena);
  const auto listener = listen_unix(directory.file("a")).value();
  CHECK(connect_unix(directory.file("a"), os_test::kPatience));
}

TEST_CASE("os: the address of a living listener is already_exists and goes on working") {
  const os_test::TempDir directory;
  for (const auto& address : {directory.file("a"), abstract_address("living")}) {
    const auto listener = listen_unix(address).value();
    CHECK(code_of(listen_unix(address)) == ErrorCode::already_exists);
    CHECK(connect_unix(address, os_test::kPatience));
  }
}

TEST_CASE("os: a file at the path is kept") {
  const os_test::TempDir directory;
  const auto path = directory.file("a");
  REQUIRE(UniqueFd(::open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)));
  CHECK(code_of(listen_unix(path)) == ErrorCode::already_exists);
  CHECK(S_ISREG(mode_of(path)));
  REQUIRE(::symlink(path.c_str(), directory.file("b").c_str()) == 0);
  CHECK(code_of(listen_unix(directory.file("b"))) == ErrorCode::already_exists);
  CHECK(S_ISLNK(mode_of(directory.file("b"))));
}

TEST_CASE("os: of several that replace a dead listener at once, one gets the path") {
  const os_test::TempDir directory;
  const auto path = directory.file("a");
  for (int round = 0; round < 50; ++round) {
    leave_stale(path);
    std::atomic<int> ready{0};
    std::vector<mews::Result<UniqueFd>> results(4);
    std::vector<std::thread> threads;
    for (auto& result : results) {
      threads.emplace_back([&ready, &result, &path] {
        ready.fetch_add(1, std::memory_order_relaxed);  // a start signal; guards nothing
        while (ready.load(std::memory_order_relaxed) < 4)
          std::this_thread::yield();
        result = listen_unix(path);
      });
    }
    for (auto& thread : threads)
      thread.join();
    int winners = 0;
    for (const auto& result : results) {
      winners += result ? 1 : 0;
      if (!result) CHECK(result.error().code() == ErrorCode::already_exists);
    }
    REQUIRE(winners == 1);
  }
}

TEST_CASE("os: a directory that another process keeps locked ends listening with timed_out") {
  const os_test::TempDir directory;
  const UniqueFd other(::open(directory.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(::flock(other.get(), LOCK_EX) == 0);
  CHECK(code_of(listen_unix(directory.file("a"))) == ErrorCode::timed_out);
}

TEST_CASE("os: addresses that fit no socket are invalid_argument") {
  for (const auto& address : {std::string(), std::string("@"), std::string("/tmp/a\0b", 8),
                              std::string(108, 'x'), "@" + std::string(107, 'x')}) {
    CHECK(code_of(listen_unix(address)) == ErrorCode::invalid_argument);
    CHECK(code_of(connect_unix(address, 0s)) == ErrorCode::invalid_argument);
  }
  const auto longest = abstract_address("longest");
  CHECK(listen_unix(longest + std::string(107 - longest.size(), 'x')));
}

TEST_CASE("os: nobody at an address is no_such_arena") {
  const os_test::TempDir directory;
  CHECK(code_of(connect_unix(directory.file("a"), mews::forever)) == ErrorCode::no_such_arena);
  CHECK(code_of(connect_unix(abstract_address("nobody"), mews::forever)) ==
        ErrorCode::no_such_arena);
  CHECK(code_of(listen_unix(directory.file("a/b"))) == ErrorCode::os_error);
}

TEST_CASE("os: a socket that may not be used is permission_denied") {
  const os_test::TempDir directory;
  const auto path = directory.file("a");
  const auto listener = listen_unix(path).value();
  REQUIRE(::chmod(path.c_str(), 0) == 0);
  REQUIRE(::chmod(directory.path().c_str(), 0755) == 0);
  os_test::Fork child([&path] {
    if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) return 2;
    return code_of(connect_unix(path, 0s)) == ErrorCode::permission_denied ? 0 : 1;
  });
  CHECK(child.outcome() == "exit code 0");
}

TEST_CASE("os: a listener that never accepts makes a caller time out, not hang") {
  const auto address = abstract_address("backlog");
  const auto listener = listen_unix(address).value();
  std::vector<UniqueFd> callers;
  auto last = connect_unix(address, 5ms);
  while (last && callers.size() < 5000) {
    callers.push_back(std::move(*last));
    last = connect_unix(address, 5ms);
  }
  CHECK(code_of(last) == ErrorCode::timed_out);
  CHECK(accept_unix(listener.get(), os_test::kPatience));
  CHECK(connect_unix(address, os_test::kPatience));
}

TEST_CASE("os: accepting times out, and ends when the listener is shut down") {
  const auto listener = listen_unix(abstract_address("accept")).value();
  CHECK(code_of(accept_unix(listener.get(), 0s)) == ErrorCode::timed_out);
  CHECK(code_of(accept_unix(listener.get(), 5ms)) == ErrorCode::timed_out);
  mews::Result<UniqueFd> result;
  std::thread acceptor([&] { result = accept_unix(listener.get(), mews::forever); });
  ::shutdown(listener.get(), SHUT_RDWR);
  acceptor.join();
  REQUIRE(code_of(result) == ErrorCode::os_error);
  CHECK(result.error().os_errno() == EINVAL);
  CHECK(accept_unix(-1, mews::forever).error().os_errno() == EBADF);
}

TEST_CASE("os: each end of a connection learns from the kernel who the other is") {
  const auto address = abstract_address("who");
  const auto listener = listen_unix(address).value();
  auto hold = os_test::make_pipe();
  os_test::Fork child([&] {
    hold.writer.reset();
    const auto client = connect_unix(address, os_test::kPatience);
    if (!client) return 1;
    const auto host = peer_credentials(client->get());
    static_cast<void>(os_test::read_all(hold.reader.get()));
    return host && host->pid == ::getppid() ? 0 : 2;
  });
  const auto server = accept_unix(listener.get(), os_test::kPatience).value();
  const auto credentials = peer_credentials(server.get()).value();
  CHECK(credentials.pid == child.pid());
  CHECK(credentials.uid == ::geteuid());
  hold.writer.reset();
  CHECK(child.outcome() == "exit code 0");
  CHECK(code_of(peer_credentials(hold.reader.get())) == ErrorCode::os_error);
}
