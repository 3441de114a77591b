// SPDX-License-Identifier: MIT
// Sends messages to a plugin within this process, which echoes them.
#include <algorithm>
#include <cstdio>
#include <mews/mews.hpp>
#include <vector>

namespace {

mews::Result<bool> echo(mews::Channel& host, mews::Channel& plugin, std::size_t bytes) {
  const std::vector<std::byte> text(bytes, std::byte{42});
  if (auto sent = host.send(text); !sent) return tl::unexpected(sent.error());
  auto request = plugin.receive();
  if (!request) return tl::unexpected(request.error());
  auto sent = plugin.send(std::move(*request).into_loan());
  if (!sent) return tl::unexpected(sent.error());
  const auto reply = host.receive();
  if (!reply) return tl::unexpected(reply.error());
  return std::ranges::equal(reply->bytes(), text);
}

mews::Result<bool> run() {
  auto host = mews::Session::create({.name = "consumer"});
  if (!host) return tl::unexpected(host.error());
  auto both = host->connect("echo");
  if (!both) return tl::unexpected(both.error());
  auto& [plugin, guest] = *both;
  for (const std::size_t bytes : {0, 480, 100'000}) {  // in the ring, and in the arena
    auto is_same = echo(plugin.channel(), guest.channel(), bytes);
    if (!is_same || !*is_same) return is_same;
  }
  return true;
}

}  // namespace

int main() {
  const auto is_same = run();
  if (!is_same) {
    std::fprintf(stderr, "consumer: %s\n", is_same.error().message().c_str());
    return 1;
  }
  std::puts(*is_same ? "consumer: every message came back"
                     : "consumer: a message CAME BACK CHANGED");
  return *is_same ? 0 : 1;
}
