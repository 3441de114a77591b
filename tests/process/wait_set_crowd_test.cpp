// SPDX-License-Identifier: MIT
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/seccomp.hpp"
#include "mews/base/sanitizer.hpp"
#include "wait_set_support.hpp"

using namespace process_test;

namespace {

std::atomic<int> calls_counted{0};

/// From now on this thread's system calls that wait, wake, read or write are counted, and fail.
/// False where that cannot be.
bool count_calls() {
  struct sigaction action {};
  action.sa_handler = [](int) { ++calls_counted; };
  if (::sigaction(SIGSYS, &action, nullptr) != 0) return false;
  std::vector<sock_filter> program{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const int call : {
         SYS_epoll_pwait, SYS_epoll_pwait2, SYS_epoll_ctl, SYS_membarrier, SYS_futex, SYS_ppoll,
             SYS_read, SYS_write, SYS_recvfrom, SYS_sendto, SYS_nanosleep, SYS_clock_nanosleep
#if defined(SYS_epoll_wait)
             ,
             SYS_epoll_wait, SYS_poll
#endif
       }) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  calls_counted = 0;
  return mews_test::set_filter(program);
}

}  // namespace

TEST_CASE("wait set: one report names all members that are ready") {
  const auto count = GENERATE(1u, 17u, 64u, 1000u);
  if (!may_have_members(count)) SKIP("not so many descriptors");
  Crowd crowd(count);
  Keys sent;
  for (std::uint32_t i = 0; i < count; i += 3) {
    crowd.send(i);
    sent.insert(i);
  }
  CHECK(keys_of(crowd.set().wait(kPatience)) == sent);
}

TEST_CASE("wait set: among many members none that stays ready is passed over twice") {
  Crowd crowd(40);
  crowd.send(3);
  std::uint64_t waits_without = 0;
  for (int i = 0; i < 20; ++i) {
    // Member 3 is never drained; another one becomes ready every now and then.
    if (i % 5 == 0) crowd.send(20);
    const auto keys = keys_of(crowd.set().wait(kPatience));
    CHECK(keys.contains(3));
    waits_without = keys.contains(20) ? 0 : waits_without + 1;
    CHECK(waits_without < 2);
  }
}

TEST_CASE("wait set: of a thousand members one is reported, awake or asleep") {
  constexpr std::uint32_t kCount = 1000;
  if (!may_have_members(kCount)) SKIP("not so many descriptors");
  Crowd crowd(kCount);
  for (const std::size_t i : {0u, 1u, 500u, 999u}) {
    crowd.send(i);
    CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{i});
    must(crowd.here(i).try_receive());
    CHECK(outcome(crowd.set().try_wait()) == "would_block");
    Waiting waiting(crowd.set());
    CHECK(waiting.sleeps_in(10ms) == 0);
    crowd.send(i);
    CHECK(waiting.keys() == Keys{i});
    must(crowd.here(i).try_receive());
  }
  CHECK(outcome(crowd.set().wait(1ms)) == "timed_out");
}

TEST_CASE("wait set: members that are ready are drained evenly, by one message at each report") {
  const auto count = GENERATE(1u, 17u, 64u, 1000u);
  if (!may_have_members(count)) SKIP("not so many descriptors");
  Crowd crowd(count);
  constexpr std::uint32_t kEach = 5;
  for (std::uint32_t i = 0; i < kEach * count; ++i)
    crowd.send(i % count);
  std::vector<std::uint32_t> taken(count, 0);
  for (std::uint32_t wait = 1; wait <= 2 * kEach; ++wait) {
    const auto report = crowd.set().try_wait();
    if (!report) break;
    for (const auto& member : *report) {
      must(crowd.here(member.key).try_receive());
      ++taken[member.key];
    }
    for (const auto each : taken)
      REQUIRE(each >= std::min(wait / 2, kEach));
  }
  CHECK(outcome(crowd.set().wait(1ms)) == "timed_out");
  CHECK(taken == std::vector<std::uint32_t>(count, kEach));
}

TEST_CASE("wait set: an idle set sleeps: no wake-up, no system call") {
  const auto count = GENERATE(1u, 17u, 64u, 1000u);
  if (!may_have_members(count)) SKIP("not so many descriptors");
  Crowd crowd(count);
  // Each has been woken for before.
  for (std::uint32_t i = 0; i < count; ++i) {
    crowd.send(i);
    must(crowd.set().wait(kPatience));
    must(crowd.here(i).try_receive());
  }
  const Pipe pipe;
  must(crowd.set().add(pipe.read.get(), 5'000, EPOLLIN));
  Waiting waiting(crowd.set());
  // Once longer than all timers of the library.
  CHECK(waiting.sleeps_in(count == 64 ? 1200ms : 200ms) == 0);
  crowd.send(0);
  CHECK(waiting.keys() == Keys{0});
}

TEST_CASE("wait set: while traffic flows a wait makes no system call") {
  if (mews::base::kIsAddressSanitized || mews::base::kIsThreadSanitized) {
    SKIP("a sanitizer makes system calls of its own");
  }
  const auto count = GENERATE(1u, 17u, 64u);
  Crowd crowd(count);
  // One round first: the set has slept, and its thread has the blocks that messages come in.
  CHECK(outcome(crowd.set().wait(1ms)) == "timed_out");
  for (std::uint32_t i = 0; i < 20 * count; ++i)
    crowd.send(i % count);
  std::string failure;
  std::atomic<bool> is_counting{true};
  std::thread server([&] {
    std::vector<std::uint32_t> left(count, 20);
    for (std::uint32_t sum = 20 * count; sum > 0;) {
      const auto report = crowd.set().wait(kPatience);
      if (sum == 20 * count) {
        // The first look disarms.
        for (const auto& member : report.value())
          while (crowd.here(member.key).try_receive() && --left[member.key] > 18 && --sum > 0) {
          }
        sum = 0;
        for (const auto each : left)
          sum += each;
        if (!count_calls()) is_counting = false;
        if (!is_counting) return;
        continue;
      }
      if (!report) failure = report.error().message();
      if (!report) return;
      for (const auto& member : *report) {
        if (!crowd.here(member.key).try_receive()) failure = "nothing in a ready member";
        --sum;
      }
    }
  });
  server.join();
  if (!is_counting) SKIP("no seccomp");
  CHECK(failure.empty());
  CHECK(calls_counted == 0);
}

TEST_CASE("wait set: a hundred descriptors are reported at once, beside busy channels too") {
  Crowd crowd(40);
  std::vector<Pipe> pipes(100);
  Keys keys;
  for (std::size_t i = 0; i < pipes.size(); ++i) {
    must(crowd.set().add(pipes[i].read.get(), 100 + i, EPOLLIN));
    REQUIRE(::write(pipes[i].write.get(), "x", 1) == 1);
    keys.insert(100 + i);
  }
  CHECK(keys_of(crowd.set().wait(kPatience)) == keys);
  // Channel 3 is ready all the time, and alone it would do for a short look.
  crowd.send(3);
  keys.insert(3);
  for (int i = 0; i < 10; ++i) {
    const auto first = keys_of(crowd.set().wait(kPatience));
    const auto second = keys_of(crowd.set().wait(kPatience));
    CHECK((first == keys || second == keys));
    CHECK(first.contains(3));
    CHECK(second.contains(3));
  }
}
