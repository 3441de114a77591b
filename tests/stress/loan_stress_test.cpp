// SPDX-License-Identifier: MIT
#include <poll.h>

#include <array>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "stress/loan_load.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"

namespace {

using namespace stress;
using mews::ErrorCode;
using mews_test::value_or_throw;

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
std::string receive_all(mews::Channel& channel, Receive&& receive) {
  for (std::uint64_t i = 0;; ++i) {
    const auto message = receive(channel);
    if (!message) return "message " + std::to_string(i) + ": " + message.error().message() + "; ";
    if (message->correlation() != i) return "a message is missing; ";
    if (message->type() == kLast) return {};
    if (message->type() != kWantsAnswer) continue;
    const auto sent = channel.send(message->bytes(), message->envelope(), kPatience);
    if (!sent) return "answer " + std::to_string(i) + ": " + sent.error().message() + "; ";
  }
}

struct Scarcity {
  std::vector<mews::SizeClass> classes;
  std::uint64_t largest_bytes;  ///< of a loan
};

/// A host and two plugins, each with three threads that lend, while one plugin's messages are
/// received by a futex and the other's by an event descriptor.
void share(const Scarcity& scarcity) {
  mews::CreateOptions options;
  options.name = "loans";
  options.size_classes = scarcity.classes;
  options.ring_cells = 32;
  auto host = value_or_throw(mews::Session::create(options));
  const LoanPlan plan{.rounds = mews_test::scaled(4'000),
                      .largest_bytes = scarcity.largest_bytes,
                      .seed = mews_test::make_seed("loan stress")};
  const mews_test::SharedPage<LoanWords> words;
  const auto spawn = [&](const std::string& process) {
    return value_or_throw(host.spawn(
        "plugin-" + process,
        {MEWS_TEST_BIN_DIR "/loan_child", words.fd(), process, std::to_string(plan.rounds),
         std::to_string(plan.largest_bytes), std::to_string(plan.seed)}));
  };
  std::array plugins{spawn("1"), spawn("2")};
  std::array<std::string, 2> received;
  std::thread asleep([&] { received[0] = receive_all(plugins[0].channel(), receive_asleep); });
  std::thread by_event([&] { received[1] = receive_all(plugins[1].channel(), receive_by_event); });
  CHECK(lend_in_threads(plugins[0].channel(), *words, plan, 0) == "");
  asleep.join();
  by_event.join();
  CHECK(received[0] == "");
  CHECK(received[1] == "");
  for (auto& plugin : plugins) {
    const auto exit = plugin.wait_exit(3 * kPatience);
    REQUIRE(exit);
    CHECK((!exit->is_signal && exit->number == 0));
  }
  CHECK(words->granted == 3 * kLenders * plan.rounds);
  CHECK(host.stats().is_all_free());
}

}  // namespace

TEST_CASE("loan: nine threads of three processes that want one slab all get it in the end") {
  share({.classes = {{4096, 1}}, .largest_bytes = 4096});
}

TEST_CASE("loan: nine threads that want few slabs of two classes miss none that comes free") {
  share({.classes = {{4096, 2}, {16384, 1}}, .largest_bytes = 6000});
}
