// SPDX-License-Identifier: MIT
// Starts hello_plugin, which lies beside it, calls it once and prints the reply.
#include <cstdio>
#include <filesystem>

#include "mews/mews.hpp"

using namespace std::chrono_literals;

namespace {

int end(const mews::Error& why) {
  std::fprintf(stderr, "hello_host: %s\n", why.message().c_str());  // one sentence
  return 1;
}

}  // namespace

int main(int, char** argv) {
  const auto path = std::filesystem::path(argv[0]).replace_filename("hello_plugin").string();

  auto host = mews::Session::create({.name = "site"});
  if (!host) return end(host.error());
  auto plugin = host->spawn("hello", {path});
  if (!plugin) return end(plugin.error());
  auto link = mews::Link::over(std::move(plugin->channel()));
  if (!link) return end(link.error());
  auto reply = link->call("peregrine", {.type = 1}, 5s);
  if (!reply) return end(reply.error());
  std::printf("the plugin says: %.*s\n", int(reply->size()), reply->text().data());
  host->shutdown(5s);  // says goodbye to all plugins and waits for them
  if (const auto exit = plugin->exit())
    std::puts(exit->description.c_str());  // "hello: exit code 0"
}
