// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "../support/random.hpp"
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
  const auto count = GENERATE(1u, 17u, 64u);
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
