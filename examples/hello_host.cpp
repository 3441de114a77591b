// SPDX-License-Identifier: MIT
// Starts hello_plugin, sends it one message and prints the reply.
#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>

#include "mews/mews.hpp"

using namespace std::chrono_literals;

namespace {

mews::Result<std::string> greet(const std::string& plugin_path) {
  auto host = mews::Session::create({.name = "hello"});
  if (!host) return tl::unexpected(host.error());
  auto plugin = host->spawn("hello", {plugin_path});
  if (!plugin) return tl::unexpected(plugin.error());

  const std::string_view text = "peregrine";
  auto loan = plugin->channel().loan(text.size());  // memory that the plugin sees too
  if (!loan) return tl::unexpected(loan.error());
  std::ranges::copy(std::as_bytes(std::span(text)), loan->bytes().begin());
  if (auto sent = plugin->channel().send(std::move(*loan), {.type = 1, .correlation = 42}); !sent) {
    return tl::unexpected(sent.error());
  }
  auto reply = plugin->channel().receive(5s);  // its bytes lie where the plugin wrote them
  if (!reply) return tl::unexpected(reply.error());
  return std::string(reply->text());
}

}  // namespace

int main(int, char** argv) {
  const std::string own_path = argv[0];
  const auto reply = greet(own_path.substr(0, own_path.rfind('/') + 1) + "hello_plugin");
  if (!reply) {
    std::fprintf(stderr, "hello_host: %s\n", reply.error().message().c_str());
    return 1;
  }
  std::printf("the plugin says: %s\n", reply->c_str());
}
