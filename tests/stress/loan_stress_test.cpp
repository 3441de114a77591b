// SPDX-License-Identifier: MIT
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "mews/mem/arena.hpp"
#include "mews/os/membarrier.hpp"
#include "mews/os/process.hpp"
#include "mews/os/spawn.hpp"
#include "stress/loan_load.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"
#include "support/own_program.hpp"

namespace {

using namespace stress;
using mews::ErrorCode;
using mews_test::value_or_throw;

/// For all of a process's work, where `kPatience` is for one call.
constexpr auto kWholeRun = 15 * kPatience;

/// The next message, by a futex.
mews::Result<mews::Message> receive_asleep(mews::Channel& channel) {
  return channel.receive(kPatience);
}

/// The next message, as an event loop gets it.
mews::Result<mews::Message> receive_by_event(mews::Channel& channel) {
  for (;;) {
    auto message = channel.try_receive();
    if (message || message.error().code() != ErrorCode::would_block) return message;
    const auto is_armed = channel.arm_event();
    if (!is_armed) return tl::unexpected(is_armed.error());
    pollfd entry{.fd = channel.event_fd(), .events = POLLIN, .revents = 0};
    constexpr int kMs = 1000 * static_cast<int>(kPatience.count());
    if (*is_armed && ::poll(&entry, 1, kMs) != 1) return mews::fail(ErrorCode::timed_out);
  }
}

/// All messages of a plugin, in order, answered where it wants that; what went wrong, or nothing.
template <class Receive>
std::string receive_all(mews::Channel& channel, std::atomic<std::uint64_t>& received,
                        Receive&& receive) {
  mews_test::Random random(1);
  for (std::uint64_t i = 0;; ++i) {
    const auto message = receive(channel);
    if (!message) return "message " + std::to_string(i) + ": " + message.error().message() + "; ";
    if (message->correlation() != i) return "a message is missing; ";
    if (message->type() == kLast) return {};
    if (message->type() == kWantsAnswer) {
      pause_a_little(random);
      const auto sent = channel.send(message->bytes(), message->envelope(), kPatience);
      if (!sent) return "answer " + std::to_string(i) + ": " + sent.error().message() + "; ";
    }
    received = i + 1;
  }
}

struct Load {
  std::vector<mews::SizeClass> classes;
  std::uint64_t largest_bytes;  ///< of a loan
  std::uint64_t rounds;         ///< of each thread that lends
  std::uint64_t messages;       ///< of each plugin
};

enum class Fence : std::uint8_t { light, full };

/// What a process that was given this fence says of itself in the arena.
std::uint32_t expected(Fence fence) {
  // Where the kernel or the build has none, nobody has the light one.
  static const bool can_be_light =
      mews_test::run_own_program("[.can-be-light]", {"MEWS_FULL_FENCE="}, kPatience).outcome ==
      "passed";
  return fence == Fence::light && can_be_light ? 1 : 0;
}

/// A host and two plugins, each with three threads that lend, while one plugin's messages are
/// received by a futex and the other's by an event descriptor.
class Threesome {
 public:
  explicit Threesome(Load load) : load_(std::move(load)) {
    never_look_again();
    options_.name = "loans-" + std::to_string(::getpid());
    options_.backing = mews::Backing::named;  // to be looked at from outside
    options_.size_classes = load_.classes;
    options_.reply_slabs = 0;
    options_.ring_cells = 32;
    options_.local.spin_limit = std::chrono::seconds(0);  // to sleep is what is tested
  }

  /// The fence of the host is this process's.
  void run(Fence host_fence, Fence plugin_fence) {
    auto host = value_or_throw(mews::Session::create(options_));
    const LoanPlan plan{.rounds = load_.rounds,
                        .messages = load_.messages,
                        .largest_bytes = load_.largest_bytes,
                        .seed = mews_test::make_seed("loan stress")};
    const mews_test::SharedPage<LoanWords> words;
    const auto spawn = [&](const std::string& process) {
      mews::PluginOptions options;
      options.environment = {plugin_fence == Fence::full ? "MEWS_FULL_FENCE=1"
                                                         : "MEWS_FULL_FENCE="};
      return value_or_throw(
          host.spawn("plugin-" + process,
                     {MEWS_TEST_BIN_DIR "/loan_child", words.path(), process,
                      std::to_string(plan.rounds), std::to_string(plan.messages),
                      std::to_string(plan.largest_bytes), std::to_string(plan.seed)},
                     options));
    };
    std::array plugins{spawn("1"), spawn("2")};
    std::array<std::string, 2> received;
    std::thread asleep([&] {
      received[0] = receive_all(plugins[0].channel(), words->received[0], receive_asleep);
    });
    std::thread by_event([&] {
      received[1] = receive_all(plugins[1].channel(), words->received[1], receive_by_event);
    });
    CHECK(lend_in_threads(plugins[0].channel(), *words, plan, 0) == "");
    asleep.join();
    by_event.join();
    CHECK(received[0] == "");
    CHECK(received[1] == "");
    for (auto& plugin : plugins) {
      const auto exit = plugin.wait_exit(kWholeRun);
      REQUIRE(exit);
      CHECK((!exit->is_signal && exit->number == 0));
    }
    CHECK(words->granted == 3 * kLenders * plan.rounds);
    CHECK(host.stats().is_all_free());
    check_fence(mews::kHostPeer, host_fence);
    for (const auto& plugin : plugins)
      check_fence(plugin.peer(), plugin_fence);
  }

 private:
  /// A peer's entry says so even after its end.
  void check_fence(mews::PeerId peer, Fence fence) const {
    const auto arena = value_or_throw(mews::mem::Arena::attach(
        value_or_throw(mews::os::MemoryFile::open_named("mews-" + options_.name)), kPatience));
    CHECK(arena.peer(peer).fences.load(std::memory_order_relaxed) == expected(fence));
  }

  Load load_;
  mews::CreateOptions options_;
};

/// Both processors for the messages: of the ends of a channel, each runs while the other does.
Load messages_only() {
  return {.classes = {{4096, 1}},
          .largest_bytes = 4096,
          .rounds = 0,
          .messages = mews_test::scaled(80'000)};
}

}  // namespace

TEST_CASE("loan: nine threads of three processes that want one slab all get it in the end") {
  Threesome({.classes = {{4096, 1}},
             .largest_bytes = 4096,
             .rounds = mews_test::scaled(4'000),
             .messages = mews_test::scaled(4'000)})
      .run(Fence::light, Fence::light);
}

TEST_CASE("loan: nine threads that want few slabs of two classes miss none that comes free") {
  Threesome({.classes = {{4096, 2}, {16384, 1}},
             .largest_bytes = 6000,
             .rounds = mews_test::scaled(4'000),
             .messages = mews_test::scaled(4'000)})
      .run(Fence::light, Fence::light);
}

TEST_CASE("fence: a host with the light fence and plugins without lose no wake-up") {
  Threesome(messages_only()).run(Fence::light, Fence::full);
}

TEST_CASE("a host without the light fence", "[.host-without-light-fence]") {
  // Run by the test below in a process that has never registered.
  mews_test::InOwnProgram program;
  Threesome(messages_only()).run(Fence::full, Fence::light);
  program.finish();
}

TEST_CASE("a process that can have the light fence", "[.can-be-light]") {
  mews_test::InOwnProgram program;
  CHECK(mews::os::register_light_fence());
  program.finish();
}

TEST_CASE("fence: a host without the light fence and plugins with it lose no wake-up") {
  const auto run =
      mews_test::run_own_program("[.host-without-light-fence]", {"MEWS_FULL_FENCE=1"}, kWholeRun);
  CHECK(run.outcome == "passed");
}
