// SPDX-License-Identifier: MIT
// Answers every message with a greeting until the host ends; started by hello_host.
#include <algorithm>
#include <cstdio>
#include <string>

#include "mews/mews.hpp"

namespace {

int end(const mews::Error& why) {
  if (why.code() == mews::ErrorCode::closed) return 0;  // the host has ended: so does its plugin
  std::fprintf(stderr, "hello_plugin: %s\n", why.message().c_str());
  return 1;
}

}  // namespace

int main() {
  auto plugin = mews::Session::attach();  // the arena of the host that started it
  if (!plugin) return end(plugin.error());
  auto& channel = plugin->channel();
  for (;;) {
    auto request = channel.receive(mews::forever);
    if (!request) return end(request.error());
    const std::string greeting = "hello, " + std::string(request->text()) + "!";
    auto reply = channel.loan(greeting.size());  // above 480 bytes, shared memory
    if (!reply) return end(reply.error());
    std::ranges::copy(std::as_bytes(std::span(greeting)), reply->bytes().begin());
    auto sent = channel.send(std::move(*reply), request->envelope());  // and not copied
    if (!sent) return end(sent.error());
  }
}
