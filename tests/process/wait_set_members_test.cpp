// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>
#include <utility>

#include "../support/catch.hpp"
#include "../support/own_program.hpp"
#include "../support/seccomp.hpp"
#include "mews/os/membarrier.hpp"
#include "wait_set_support.hpp"

using namespace process_test;

TEST_CASE("wait set: descriptors are reported with their events, as long as these last") {
  Crowd crowd(1);
  const Pipe pipe;
  must(crowd.set().add(pipe.read.get(), 10, EPOLLIN));
  CHECK(outcome(crowd.set().wait(1ms)) == "timed_out");
  REQUIRE(::write(pipe.write.get(), "x", 1) == 1);
  for (int i = 0; i < 3; ++i) {
    const auto ready = must(crowd.set().wait(kPatience));
    REQUIRE(ready.size() == 1);
    CHECK(ready[0].key == 10);
    CHECK(ready[0].events == EPOLLIN);
  }
  crowd.send(0);
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{0, 10});
  char byte = 0;
  REQUIRE(::read(pipe.read.get(), &byte, 1) == 1);
  must(crowd.here(0).try_receive());
  CHECK(outcome(crowd.set().wait(1ms)) == "timed_out");
  std::thread writer([&] { CHECK(::write(pipe.write.get(), "x", 1) == 1); });
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{10});
  writer.join();
  must(crowd.set().add(pipe.write.get(), 11, EPOLLOUT));
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{10, 11});
}

TEST_CASE("wait set: one that was moved from is empty, and says so") {
  Crowd crowd(1);
  auto set = std::move(crowd.set());
  auto& empty = crowd.set();
  CHECK(outcome(empty.add(crowd.here(0), 1)) == "invalid_argument");
  CHECK(outcome(empty.wait(1ms)) == "invalid_argument");
  CHECK(outcome(empty.try_wait()) == "invalid_argument");
  CHECK(outcome(empty.arm_event()) == "invalid_argument");
  CHECK_FALSE(empty.remove(0));
  CHECK(empty.size() == 0);
  CHECK(empty.fd() == -1);
  empty.wake();
  crowd.send(0);
  CHECK(keys_of(set.wait(kPatience)) == Keys{0});
  empty = std::move(set);
  CHECK(keys_of(empty.wait(kPatience)) == Keys{0});
}

TEST_CASE("wait set: a member that cannot be is one sentence, and was not added") {
  Crowd crowd(1);
  auto& set = crowd.set();
  CHECK(outcome(set.add(crowd.here(0), 0)) == "already_exists");
  CHECK(outcome(set.add(-1, 5, EPOLLIN)) == "invalid_argument");
  const mews::os::UniqueFd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  CHECK(outcome(set.add(file.get(), 5, EPOLLIN)) == "invalid_argument");
  mews::Channel moved = std::move(crowd.here(0));
  CHECK(outcome(set.add(crowd.here(0), 5)) == "invalid_argument");
  CHECK(outcome(set.add(moved, ~std::uint64_t{0})) == "invalid_argument");
  CHECK(outcome(set.add(moved, 6)) == "already_exists");
  CHECK(set.size() == 1);
  CHECK_FALSE(set.remove(5));
  CHECK(set.remove(0));
  must(set.add(moved, 6));
}

TEST_CASE("wait set: a removed member is not reported; the others are") {
  Crowd crowd(5);
  for (std::size_t i = 0; i < 5; ++i)
    crowd.send(i);
  CHECK(crowd.set().remove(1));
  CHECK_FALSE(crowd.set().remove(1));
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{0, 2, 3, 4});
  CHECK(crowd.set().remove(4));
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{0, 2, 3});
  must(crowd.set().add(crowd.here(4), 9));
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{0, 2, 3, 9});
}

TEST_CASE("wait set: it nests in another event loop") {
  Crowd crowd(4);
  CHECK(must(crowd.set().arm_event()));
  pollfd entry{.fd = crowd.set().fd(), .events = POLLIN, .revents = 0};
  CHECK(::poll(&entry, 1, 0) == 0);
  std::thread sender([&] { crowd.send(2); });
  CHECK(::poll(&entry, 1, 1000 * static_cast<int>(kPatience.count())) == 1);
  sender.join();
  CHECK(keys_of(crowd.set().try_wait()) == Keys{2});
  CHECK_FALSE(must(crowd.set().arm_event()));
}

TEST_CASE("wait set: nested, it wakes the outer loop once for each reason") {
  Crowd crowd(4);
  pollfd entry{.fd = crowd.set().fd(), .events = POLLIN, .revents = 0};
  const auto is_quiet = [&] { return must(crowd.set().arm_event()) && ::poll(&entry, 1, 0) == 0; };
  CHECK(is_quiet());
  crowd.set().wake();
  CHECK(::poll(&entry, 1, 0) == 1);
  CHECK_FALSE(must(crowd.set().arm_event()));
  CHECK(keys_of(crowd.set().try_wait()).empty());
  CHECK(is_quiet());
  for (int i = 0; i < 20; ++i) {
    crowd.send(1);
    CHECK(::poll(&entry, 1, 0) == 1);
    CHECK(keys_of(crowd.set().try_wait()) == Keys{1});
    must(crowd.here(1).try_receive());
    CHECK(is_quiet());
  }
  const Pipe pipe;
  must(crowd.set().add(pipe.read.get(), 10, EPOLLIN));
  CHECK(is_quiet());
  REQUIRE(::write(pipe.write.get(), "x", 1) == 1);
  CHECK(::poll(&entry, 1, 0) == 1);
  CHECK_FALSE(must(crowd.set().arm_event()));
  CHECK(keys_of(crowd.set().try_wait()) == Keys{10});
  char byte = 0;
  REQUIRE(::read(pipe.read.get(), &byte, 1) == 1);
  CHECK(is_quiet());
  must(crowd.there(2).close());
  CHECK(::poll(&entry, 1, 0) == 1);
  CHECK(keys_of(crowd.set().try_wait()) == Keys{2});
  CHECK(outcome(crowd.here(2).try_receive()) == "closed");
  CHECK(is_quiet());
}

TEST_CASE("wait set: a session without a watcher thread is a member, and sees its plugin die") {
  mews::CreateOptions options;
  options.local.watcher = mews::Watcher::none;
  Site site(Where::two_processes, {"mute"}, options);
  must(site.channel().receive(kPatience));
  auto set = must(mews::WaitSet::create());
  must(set.add(site.host(), 0));
  must(set.add(site.channel(), 1));
  must(site.plugin().kill(SIGKILL));
  while (outcome(site.channel().try_receive()) != "peer_died") {
    if (keys_of(set.wait(kPatience)).contains(0)) site.host().process_events();
  }
}

TEST_CASE("wait set: a forked child can do nothing with it, and harms nothing") {
  Crowd crowd(1);
  crowd.send(0);
  const auto child = ::fork();
  if (child == 0) {
    const bool is_refused = outcome(crowd.set().wait(1ms)) == "wrong_process" &&
                            outcome(crowd.set().try_wait()) == "wrong_process" &&
                            !crowd.set().remove(0);
    ::_exit(is_refused ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{0});
}

// Run by the test below, in a process of its own.
TEST_CASE("forbidden later: a wait set does not sleep without its fence", "[.wait_set_fence]") {
  mews_test::InOwnProgram program;
  if (!mews::os::register_light_fence()) return program.skip("no light fence");
  Crowd crowd(3);
  CHECK(must(crowd.set().arm_event()));
  crowd.send(1);
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{1});
  must(crowd.here(1).try_receive());
  if (!mews_test::forbid_call(SYS_membarrier, EPERM)) return program.skip("no seccomp");
  for (int i = 0; i < 3; ++i) {
    CHECK(outcome(crowd.set().wait(kPatience)) == "os_error");
    CHECK(outcome(crowd.set().arm_event()) == "os_error");
  }
  // It still says what is ready.
  crowd.send(2);
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{2});
  program.finish();
}

TEST_CASE("wait set: a broken fence is an error, not a missed event") {
  const auto run = mews_test::run_own_program("[.wait_set_fence]", {"MEWS_FULL_FENCE="}, kPatience);
  CHECK(run.outcome == "passed");
  if (!run.skipped.empty()) SKIP(run.skipped);
}
