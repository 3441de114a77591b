// SPDX-License-Identifier: MIT
// Answers every message with a greeting until the host ends; started by hello_host.
#include <algorithm>
#include <cstdio>
#include <string>

#include "mews/mews.hpp"

namespace {

mews::Error serve() {
  auto plugin = mews::Session::attach();  // finds the arena of the host that started it
  if (!plugin) return plugin.error();
  auto& channel = plugin->channel();
  for (;;) {
    auto request = channel.receive(mews::forever);
    if (!request) return request.error();
    const std::string greeting = "hello, " + std::string(request->text()) + "!";
    auto reply = channel.loan(greeting.size());
    if (!reply) return reply.error();
    std::ranges::copy(std::as_bytes(std::span(greeting)), reply->bytes().begin());
    if (auto sent = channel.send(std::move(*reply), request->envelope()); !sent) {
      return sent.error();
    }
  }
}

}  // namespace

int main() {
  const auto end = serve();
  if (end.code() == mews::ErrorCode::closed) return 0;
  std::fprintf(stderr, "hello_plugin: %s\n", end.message().c_str());
  return 1;
}
