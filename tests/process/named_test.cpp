// SPDX-License-Identifier: MIT
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <future>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/named_file.hpp"
#include "../unit/os_support.hpp"
#include "core/names.hpp"
#include "mews/os/named_memory.hpp"
#include "mews/os/process.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

mews::CreateOptions named(const std::string& name) {
  auto options = small_arena();
  options.name = name;
  options.backing = mews::Backing::named;
  return options;
}

ino_t inode_of(const std::string& name) {
  struct stat status {};
  return ::stat(("/dev/shm/" + mews::detail::memory_name(name)).c_str(), &status) == 0
             ? status.st_ino
             : 0;
}

/// A host of that name that admits until it is killed; says so by a byte.
auto host_of(const std::string& name, int ready) {
  return [name, ready] {
    auto host = mews::Session::create(named(name));
    if (!host) return 100 + static_cast<int>(host.error().code());
    if (::write(ready, "x", 1) != 1) return 2;
    std::vector<mews::HandleResult<mews::Plugin>> plugins;
    for (;;)
      plugins.push_back(host->admit(mews::forever));
  };
}

}  // namespace

TEST_CASE("named: whoever attaches while hosts of a name come and go is never misled") {
  const auto name = unique_name("mews-test-restart");
  std::atomic<bool> is_over{false};
  const auto ready = os_test::make_pipe();
  std::thread hosts([&] {
    while (!is_over) {
      os_test::Fork host(host_of(name, ready.writer.get()));
      char byte = 0;
      static_cast<void>(!::read(ready.reader.get(), &byte, 1));
      std::this_thread::sleep_for(5ms);
    }
  });
  std::vector<std::string> said;
  for (int round = 0; round < 60; ++round) {
    os_test::Fork plugin([&] {
      const auto session = mews::Session::attach({.name = name, .timeout = 5s});
      return session ? 0 : 1 + static_cast<int>(session.error().code());
    });
    said.push_back(plugin.outcome());
  }
  is_over = true;
  hosts.join();
  const auto code = [](mews::ErrorCode wanted) {
    return "exit code " + std::to_string(1 + static_cast<int>(wanted));
  };
  for (const auto& outcome : said) {
    INFO(outcome);
    // Before the first host there is no arena.
    CHECK((outcome == "exit code 0" || outcome == code(mews::ErrorCode::timed_out) ||
           outcome == code(mews::ErrorCode::host_died) ||
           outcome == code(mews::ErrorCode::no_such_arena)));
  }
  CHECK(std::count(said.begin(), said.end(), "exit code 0") > 0);
}

TEST_CASE("named: of several that create one name at once, exactly one has it") {
  const auto name = unique_name("mews-test-race");
  for (int round = 0; round < 40; ++round) {
    // Every second time they find what a dead host left.
    if (round % 2 == 1) {
      const auto ready = os_test::make_pipe();
      const os_test::Fork host(host_of(name, ready.writer.get()));
      char byte = 0;
      REQUIRE(::read(ready.reader.get(), &byte, 1) == 1);
    }
    std::vector<std::future<mews::HandleResult<mews::Session>>> racing;
    for (int i = 0; i < 4; ++i) {
      racing.push_back(
          std::async(std::launch::async, [&] { return mews::Session::create(named(name)); }));
    }
    std::vector<mews::HandleResult<mews::Session>> made;
    for (auto& one : racing)
      made.push_back(one.get());
    int winners = 0;
    for (const auto& one : made) {
      CHECK((one || outcome(one) == "already_exists"));
      winners += one ? 1 : 0;
    }
    REQUIRE(winners == 1);
    // It is the winner's memory that has the name.
    CHECK(outcome(mews::Session::create(named(name))) == "already_exists");
    CHECK(inode_of(name) != 0);
  }
  CHECK(inode_of(name) == 0);
}

TEST_CASE("named: what a dead host left is replaced, and its plugin's memory stays what it was") {
  const auto name = unique_name("mews-test-left");
  const auto ready = os_test::make_pipe();
  std::optional<os_test::Fork> host(std::in_place, host_of(name, ready.writer.get()));
  char byte = 0;
  REQUIRE(::read(ready.reader.get(), &byte, 1) == 1);
  auto plugin = must(mews::Session::attach({.name = name, .timeout = kPatience}));
  auto loan = must(plugin.channel().loan(5'000));
  fill(loan.bytes(), 9);
  const auto before = inode_of(name);
  host.reset();
  CHECK(outcome(plugin.channel().receive(kPatience)) == "host_died");
  CHECK(outcome(mews::Session::attach({.name = name, .timeout = kPatience})) == "host_died");
  auto next = must(mews::Session::create(named(name)));
  CHECK(inode_of(name) != before);
  CHECK(is_filled(loan.bytes(), 9));
}

TEST_CASE("named: a helper forked without exec keeps no name, and no listener, of a dead host") {
  const auto name = unique_name("mews-test-helper");
  const auto ready = os_test::make_pipe();
  const auto helper_pid = os_test::make_pipe();
  os_test::Fork host([&] {
    auto session = must(mews::Session::create(named(name)));
    const auto helper = ::fork();
    if (helper == 0) {
      for (;;)
        ::pause();
    }
    return ::write(helper_pid.writer.get(), &helper, sizeof helper) == sizeof helper
               ? (::_exit(0), 0)
               : 1;
  });
  pid_t helper = 0;
  REQUIRE(::read(helper_pid.reader.get(), &helper, sizeof helper) == sizeof helper);
  CHECK(host.outcome() == "exit code 0");
  CHECK(outcome(mews::Session::attach({.name = name, .timeout = kPatience})) == "host_died");
  CHECK(outcome(mews::Session::create(named(name))) == "ok");
  CHECK(::kill(helper, SIGKILL) == 0);
}

TEST_CASE("named: from another network namespace a living host is found, and not replaced") {
  if (::geteuid() != 0) SKIP("only root can leave its network namespace");
  const auto name = unique_name("mews-test-netns");
  auto host = must(mews::Session::create(named(name)));
  auto admitted = std::async(std::launch::async, [&] { return host.admit(kPatience); });
  os_test::Fork away([&] {
    if (::unshare(CLONE_NEWNET) != 0) return 77;
    if (outcome(mews::Session::create(named(name))) != "already_exists") return 2;
    auto session = mews::Session::attach({.name = name, .timeout = kPatience});
    if (!session) return 100 + static_cast<int>(session.error().code());
    return session->channel().receive(kPatience) ? 0 : 3;
  });
  auto plugin = must(admitted.get());
  must(plugin.channel().send(bytes_of("found")));
  const auto ended = away.outcome();
  if (ended == "exit code 77") SKIP("no network namespaces here");
  CHECK(ended == "exit code 0");
}

TEST_CASE("named: one that cannot be made ready in its predecessor's place leaves that as it was") {
  const auto memory = mews::detail::memory_name(unique_name("mews-test-large"));
  { const auto left = mews_test::leave_named(memory, 4096); }
  CHECK_FALSE(mews::os::NamedMemory::own(memory, UINT64_MAX));
  CHECK_FALSE(mews::os::NamedMemory::is_owned(must(mews::os::MemoryFile::open_named(memory))));
  {
    auto owned = must(mews::os::NamedMemory::own(memory, 8192));
    const auto file = owned.take_file();
    struct stat status {};
    REQUIRE(::fstat(file.fd(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    CHECK(mews::os::NamedMemory::is_owned(file));
    CHECK(must(file.bytes()) == 8192);
    CHECK(outcome(mews::os::NamedMemory::own(memory, 4096)) == "already_exists");
  }
  CHECK(outcome(mews::os::MemoryFile::open_named(memory)) == "no_such_arena");
}
