// SPDX-License-Identifier: MIT
// Does the library say the same about the light fence as the code that its headers compile into
// this program? Prints which fence; ends with 1 where they differ.
//
// The host sends to a plugin that never sleeps. Behind the light fence `Channel::send` then makes
// no call into the library; with a full fence it makes one for each message, to `ring_slow`, which
// the linker leads through `counted_ring_slow` (--wrap).
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <mews/mews.hpp>
#include <mews/os/membarrier.hpp>
#include <thread>

namespace {
int slow_rings = 0;
constexpr int kMessages = 20;
}  // namespace

extern "C" {
void real_ring_slow(void* channel, const void* bell) noexcept __asm__("__real_" RING_SLOW);
void counted_ring_slow(void* channel, const void* bell) noexcept __asm__("__wrap_" RING_SLOW);
void counted_ring_slow(void* channel, const void* bell) noexcept {
  ++slow_rings;
  real_ring_slow(channel, bell);
}
}

namespace {

mews::Result<mews::Message> receive_awake(mews::Channel& channel) {
  for (;;) {
    auto message = channel.try_receive();
    if (message || message.error().code() != mews::ErrorCode::would_block) return message;
    std::this_thread::yield();
  }
}

/// Answers the first message, so that the host knows that it is attached; then drops all others.
mews::Result<void> serve() {
  auto plugin = mews::Session::attach();
  if (!plugin) return tl::unexpected(plugin.error());
  auto& channel = plugin->channel();
  for (bool is_first = true;; is_first = false) {
    auto message = receive_awake(channel);
    if (!message) return tl::unexpected(message.error());
    if (!is_first) continue;
    if (auto sent = channel.send(std::move(*message).into_loan()); !sent) return sent;
  }
}

/// Calls of `ring_slow` for `kMessages` messages.
mews::Result<int> count_slow_rings(const char* program) {
  auto host = mews::Session::create();
  if (!host) return tl::unexpected(host.error());
  auto plugin = host->spawn("awake", {program, "plugin"});
  if (!plugin) return tl::unexpected(plugin.error());
  auto& channel = plugin->channel();
  if (auto sent = channel.send("are you there?"); !sent) return tl::unexpected(sent.error());
  if (auto reply = channel.receive(); !reply) return tl::unexpected(reply.error());
  // The first ones find out that the plugin is attached, and note it.
  for (int i = -2; i < kMessages; ++i) {
    if (i == 0) slow_rings = 0;
    if (auto sent = channel.send("no answer"); !sent) return tl::unexpected(sent.error());
  }
  const int count = slow_rings;
  host->shutdown(std::chrono::seconds(20));
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) return serve().error().code() == mews::ErrorCode::closed ? 0 : 1;
  const auto count = count_slow_rings(argv[0]);
  if (!count) {
    std::cerr << "light_fence: " << count.error() << '\n';
    return 1;
  }
  const bool has_light_fence = mews::os::has_light_fence();
  std::puts(has_light_fence ? "light" : "full");
  if (*count == (has_light_fence ? 0 : kMessages)) return 0;
  std::cerr << "light_fence: with that, " << *count << " of " << kMessages
            << " messages took the slow way to the bell\n";
  return 1;
}
