// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/own_program.hpp"
#include "../support/process_state.hpp"
#include "../support/random.hpp"
#include "../support/seccomp.hpp"
#include "mews/os/membarrier.hpp"
#include "mews/os/unique_fd.hpp"
#include "mews/wait_set.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

using Keys = std::set<std::uint64_t>;

/// The keys of a report; each only once.
Keys keys_of(const mews::Result<std::span<const mews::WaitSet::Ready>>& report) {
  Keys keys;
  for (const auto& member : must(report))
    REQUIRE(keys.insert(member.key).second);
  return keys;
}

/// A host, and so many plugins within this process; the set has their host's ends, by number.
class Crowd {
 public:
  explicit Crowd(std::uint32_t count) : host_(must(mews::Session::create(options(count)))) {
    for (std::uint32_t i = 0; i < count; ++i) {
      ends_.push_back(must(host_.connect("p" + std::to_string(i))));
      must(set_.add(here(i), i));
    }
  }

  [[nodiscard]] mews::Channel& here(std::size_t i) { return ends_[i].first.channel(); }
  [[nodiscard]] mews::Channel& there(std::size_t i) { return ends_[i].second.channel(); }
  [[nodiscard]] mews::WaitSet& set() { return set_; }
  [[nodiscard]] std::size_t size() const { return ends_.size(); }
  void send(std::size_t i) { must(there(i).send(bytes_of("x"))); }

 private:
  static mews::CreateOptions options(std::uint32_t count) {
    mews::CreateOptions options;
    options.max_plugins = count;
    return options;
  }

  mews::Session host_;
  std::vector<std::pair<mews::Plugin, mews::Session>> ends_;
  mews::WaitSet set_ = must(mews::WaitSet::create());
};

/// A crowd needs some ten descriptors for each member. Returns whether so many may be open.
bool may_have_members(std::uint32_t count) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  const rlim_t wanted = 12 * rlim_t{count} + 100;
  if (limit.rlim_cur >= wanted) return true;
  limit.rlim_cur = std::min(wanted, limit.rlim_max);
  return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == wanted;
}

/// How often this process's thread has gone to sleep: whoever makes a system call has woken up
/// first, and goes to sleep again.
std::uint64_t sleeps_of(pid_t thread) {
  std::ifstream status("/proc/self/task/" + std::to_string(thread) + "/status");
  for (std::string word; status >> word;) {
    std::uint64_t count = 0;
    if (word == "voluntary_ctxt_switches:" && status >> count) return count;
  }
  throw std::runtime_error("no such thread");
}

std::chrono::nanoseconds time_of_this_thread() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

/// Waits in a thread of its own, for ever, or until `wake`.
class Waiting {
 public:
  explicit Waiting(mews::WaitSet& set)
      : set_(set), thread_([this] {
          id_ = ::gettid();
          const auto before = time_of_this_thread();
          const auto report = set_.wait(mews::forever);
          time_ = time_of_this_thread() - before;
          for (const auto& member : report.value())
            keys_.insert(member.key);
        }) {}
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() {
    if (!thread_.joinable()) return;
    set_.wake();
    thread_.join();
  }

  /// How often it goes to sleep in that time, once it has come to rest.
  [[nodiscard]] std::uint64_t sleeps_in(std::chrono::milliseconds time) {
    const auto is_at_rest = [&] {
      if (!mews_test::is_seen_asleep(id_)) return false;
      const auto before = sleeps_of(id_);
      std::this_thread::sleep_for(10ms);
      return mews_test::state_of(id_) == 'S' && sleeps_of(id_) == before;
    };
    REQUIRE(eventually(is_at_rest));
    const auto before = sleeps_of(id_);
    std::this_thread::sleep_for(time);
    return sleeps_of(id_) - before;
  }
  [[nodiscard]] Keys keys() {
    thread_.join();
    return keys_;
  }
  /// Of the processor, for the whole wait. After `keys`.
  [[nodiscard]] std::chrono::nanoseconds time() const { return time_; }

 private:
  mews::WaitSet& set_;
  std::atomic<pid_t> id_{0};
  Keys keys_;
  std::chrono::nanoseconds time_{0};
  std::thread thread_;
};

std::atomic<int> calls_counted{0};

/// From now on this thread's system calls that wait, wake, read or write are counted, and fail.
/// False where that cannot be.
bool count_calls() {
  struct sigaction action {};
  action.sa_handler = [](int) { ++calls_counted; };
  if (::sigaction(SIGSYS, &action, nullptr) != 0) return false;
  std::vector<sock_filter> program{BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  for (const unsigned call : {
         SYS_epoll_pwait, SYS_epoll_pwait2, SYS_epoll_ctl, SYS_membarrier, SYS_futex, SYS_ppoll,
             SYS_read, SYS_write, SYS_recvfrom, SYS_sendto, SYS_nanosleep, SYS_clock_nanosleep
#if defined(SYS_epoll_wait)
             ,
             SYS_epoll_wait, SYS_poll
#endif
       }) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  calls_counted = 0;
  return mews_test::set_filter(program);
}

struct Pipe {
  Pipe() {
    std::array<int, 2> raw{};
    REQUIRE(::pipe2(raw.data(), O_CLOEXEC | O_NONBLOCK) == 0);
    read = mews::os::UniqueFd(raw[0]);
    write = mews::os::UniqueFd(raw[1]);
  }
  mews::os::UniqueFd read;
  mews::os::UniqueFd write;
};

}  // namespace

TEST_CASE("wait set: what came before `add` is reported") {
  auto host = must(mews::Session::create());
  auto [plugin, guest] = must(host.connect("early"));
  must(guest.channel().send(bytes_of("x")));
  auto set = must(mews::WaitSet::create());
  must(set.add(plugin.channel(), 7));
  CHECK(keys_of(set.wait(kPatience)) == Keys{7});
}

TEST_CASE("wait set: a member that was not drained is reported again, until it is") {
  Crowd crowd(3);
  crowd.send(1);
  crowd.send(1);
  for (int i = 0; i < 5; ++i)
    CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{1});
  must(crowd.here(1).try_receive());
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{1});
  must(crowd.here(1).try_receive());
  CHECK(outcome(crowd.set().wait(1ms)) == "timed_out");
  CHECK(outcome(crowd.set().try_wait()) == "would_block");
}

TEST_CASE("wait set: an end is reported until it is received; then the set sleeps") {
  Crowd crowd(2);
  crowd.send(0);
  must(crowd.there(0).close());
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{0});
  must(crowd.here(0).try_receive());
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{0});
  CHECK(outcome(crowd.here(0).try_receive()) == "closed");
  CHECK(outcome(crowd.set().wait(5ms)) == "timed_out");
  crowd.send(1);
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{1});
}

TEST_CASE("wait set: a plugin that is killed is reported, and after that costs nothing") {
  Site site(Where::two_processes, {"mute"});
  must(site.channel().receive(kPatience));
  auto set = must(mews::WaitSet::create());
  must(set.add(site.channel(), 1));
  std::thread killer([&] {
    std::this_thread::sleep_for(5ms);
    must(site.plugin().kill(SIGKILL));
  });
  CHECK(keys_of(set.wait(kPatience)) == Keys{1});
  killer.join();
  CHECK(outcome(site.channel().try_receive()) == "peer_died");
  // Nothing is left that would wake it, again and again.
  CHECK(outcome(set.wait(1ms)) == "timed_out");
  pollfd entry{.fd = set.fd(), .events = POLLIN, .revents = 0};
  CHECK(::poll(&entry, 1, 0) == 0);
  CHECK(set.remove(1));
  CHECK(set.size() == 0);
}

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
  for (const std::size_t i : {0, 1, 500, 999}) {
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

TEST_CASE("wait set: a signal that another thread has answered does not keep the set awake") {
  Crowd crowd(1);
  // It sleeps, with member 0 armed, while another thread receives from that one.
  Waiting waiting(crowd.set());
  CHECK(waiting.sleeps_in(10ms) == 0);
  std::atomic<int> received{0};
  std::thread reader([&] {
    while (must(crowd.here(0).receive(kPatience)).type() == 0)
      ++received;
  });
  REQUIRE(eventually([&] { return outcome(crowd.here(0).try_receive()) == "concurrent_use"; }));
  crowd.send(0);
  REQUIRE(eventually([&] { return received == 1; }));
  // The reader waits again, and the descriptor was not drained.
  CHECK(waiting.sleeps_in(300ms) <= 2);
  crowd.set().wake();
  CHECK(waiting.keys().empty());
  CHECK(waiting.time() < 200ms);
  must(crowd.there(0).send(bytes_of("x"), {.type = 1}));
  reader.join();
}

TEST_CASE("wait set: a member in use while it arms is looked at again by itself") {
  Crowd crowd(1);
  std::thread reader([&] { must(crowd.here(0).receive(kPatience)); });
  REQUIRE(eventually([&] { return outcome(crowd.here(0).try_receive()) == "concurrent_use"; }));
  CHECK(outcome(crowd.set().arm_event()) == "concurrent_use");
  Waiting waiting(crowd.set());
  CHECK(waiting.sleeps_in(10ms) == 0);
  // The reader takes the first one and leaves the second, for which nothing is armed.
  must(crowd.there(0).try_send(bytes_of("x")));
  reader.join();
  crowd.send(0);
  CHECK(waiting.keys() == Keys{0});
}

TEST_CASE("wait set: a sleeping set is woken by any of its members, each time") {
  Crowd crowd(17);
  const auto count = mews_test::scaled(4'000);
  std::atomic<std::uint64_t> received{0};
  std::atomic<bool> is_over{false};
  std::string failure;
  std::thread sender([&] {
    for (std::uint64_t i = 0; i < count && !is_over; ++i) {
      const auto sent =
          crowd.there(mixed(i) % 17).send(bytes_of("x"), {.correlation = i}, kPatience);
      if (!sent) failure = sent.error().message();
      // Mostly the next one comes when the set arms, or sleeps.
      while (mixed(i) % 4 != 0 && received.load() <= i && !is_over)
        std::this_thread::yield();
      for (auto spins = mixed(i) / 4 % 2'000; spins > 0; --spins)
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
  });
  std::string outcome_of_wait;
  while (received.load() < count && outcome_of_wait.empty()) {
    const auto report = crowd.set().wait(kPatience);
    if (!report) outcome_of_wait = report.error().message();
    if (!report) break;
    for (const auto& member : *report) {
      while (crowd.here(member.key).try_receive())
        received.fetch_add(1);
    }
  }
  is_over = true;
  sender.join();
  CHECK(failure.empty());
  CHECK(outcome_of_wait.empty());
  CHECK(received.load() == count);
}

TEST_CASE("wait set: seventeen plugins in processes of their own are all answered") {
  auto host = must(mews::Session::create());
  auto set = must(mews::WaitSet::create());
  std::vector<mews::Plugin> plugins;
  for (std::uint64_t i = 0; i < 17; ++i) {
    plugins.push_back(must(host.spawn("echo" + std::to_string(i), command({"echo"}))));
    must(set.add(plugins.back().channel(), i));
    must(plugins.back().channel().send(bytes_of("x"), {.type = kForward}, kPatience));
  }
  const auto rounds = mews_test::scaled(300);
  std::array<std::uint64_t, 17> answers{};
  std::size_t left = 17;
  while (left > 0) {
    for (const auto& member : must(set.wait(kPatience))) {
      auto& channel = plugins[member.key].channel();
      while (channel.try_receive()) {
        if (++answers[member.key] == rounds) {
          --left;
          continue;
        }
        must(channel.send(bytes_of("x"), {.type = kForward}, kPatience));
      }
    }
  }
}

TEST_CASE("wait set: `wake` ends the wait that is, or the next one, and is used up by it") {
  Crowd crowd(1);
  crowd.set().wake();
  CHECK(keys_of(crowd.set().wait(kPatience)).empty());
  CHECK(outcome(crowd.set().wait(1ms)) == "timed_out");
  for (int i = 0; i < 50; ++i) {
    std::thread waker([&] { crowd.set().wake(); });
    CHECK(keys_of(crowd.set().wait(kPatience)).empty());
    waker.join();
  }
  CHECK(outcome(crowd.set().wait(1ms)) == "timed_out");
  auto alone = must(mews::WaitSet::create());
  alone.wake();
  CHECK(keys_of(alone.wait(kPatience)).empty());
  CHECK(outcome(alone.try_wait()) == "would_block");
}

TEST_CASE("wait set: a stop token ends a wait, and leaves the set as it was") {
  Crowd crowd(2);
  for (int i = 0; i < 50; ++i) {
    std::stop_source source;
    std::thread stopper([&] { source.request_stop(); });
    CHECK(outcome(crowd.set().wait(kPatience, source.get_token())) == "cancelled");
    stopper.join();
  }
  crowd.send(1);
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{1});
}

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

TEST_CASE("wait set: a wait ends not before its deadline, and soon after") {
  Crowd crowd(1);
  for (const auto wait : {0us, 1us, 200us, 1500us, 30'000us}) {
    const auto before = mews::Deadline::Clock::now();
    CHECK(outcome(crowd.set().wait(wait)) == "timed_out");
    const auto took = mews::Deadline::Clock::now() - before;
    CHECK(took >= wait);
    CHECK(took < wait + kPatience);
  }
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

TEST_CASE("wait set: a channel that another thread reads counts as not ready") {
  Crowd crowd(2);
  std::thread reader([&] { must(crowd.here(0).receive(kPatience)); });
  REQUIRE(eventually([&] { return outcome(crowd.here(0).try_receive()) == "concurrent_use"; }));
  CHECK(outcome(crowd.set().wait(1ms)) == "timed_out");
  crowd.send(1);
  CHECK(keys_of(crowd.set().wait(kPatience)) == Keys{1});
  crowd.send(0);
  reader.join();
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
