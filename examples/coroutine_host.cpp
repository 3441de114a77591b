// SPDX-License-Identifier: MIT
// Seventeen plugins and one thread, with Asio: a coroutine for each plugin asks it several things,
// with a deadline for each. Ends when all have answered, and with --wait at SIGINT.
#include <array>
#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/signal_set.hpp>
#include <asio/use_awaitable.hpp>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mews/asio.hpp"
#include "mews/mews.hpp"

using namespace std::chrono_literals;

namespace {

constexpr int kPlugins = 17;
constexpr std::array<const char*, 3> kNames{"merlin", "kestrel", "hobby"};

struct Client {
  mews::Plugin plugin;
  mews::AsyncLink link;
};

struct Site {
  asio::io_context context{1};
  asio::signal_set signals{context, SIGINT};
  std::vector<Client> clients;
  int working = 0;
  int answers = 0;
  bool goes_on = false;
  bool is_stopping = false;
};

asio::awaitable<void> ask(Site& site, Client& client) {
  ++site.working;
  bool is_good = true;
  do {
    for (const char* name : kNames) {
      const auto reply =
          co_await client.link.async_call(name, {.type = 1}, 5s, asio::use_awaitable);
      is_good = reply.has_value();
      if (!is_good) {
        if (site.is_stopping) break;
        std::printf("%s: %s\n", client.plugin.name().c_str(), reply.error().message().c_str());
        break;
      }
      ++site.answers;
    }
  } while (is_good && site.goes_on);
  // The last one ends the program: nothing else is left to wait for.
  if (--site.working == 0) site.signals.cancel();
}

mews::Result<void> start_all(Site& site, mews::Session& host, const std::string& plugin_path) {
  for (int i = 0; i < kPlugins; ++i) {
    auto plugin = host.spawn("plugin-" + std::to_string(i), {plugin_path});
    if (!plugin) return tl::unexpected(plugin.error());
    auto link = mews::Link::over(std::move(plugin->channel()));
    if (!link) return tl::unexpected(link.error());
    mews::AsyncLink async(site.context.get_executor(), std::move(*link));
    site.clients.push_back({std::move(*plugin), std::move(async)});
  }
  return {};
}

mews::Result<void> run(const std::string& plugin_path, bool goes_on) {
  auto host = mews::Session::create({.name = "coroutines", .max_plugins = kPlugins});
  if (!host) return tl::unexpected(host.error());
  Site site;
  site.goes_on = goes_on;
  if (auto started = start_all(site, *host, plugin_path); !started) return started;

  site.signals.async_wait([&site](const std::error_code& failed, int) {
    if (failed) return;
    site.is_stopping = true;
    site.goes_on = false;
    for (auto& client : site.clients)
      client.link.cancel();  // its calls end with `cancelled`
  });
  for (auto& client : site.clients)
    asio::co_spawn(site.context, ask(site, client), asio::detached);
  if (goes_on) std::puts("press Ctrl-C to end");
  std::fflush(stdout);
  site.context.run();
  std::printf("%d plugins: %d answers\n", kPlugins, site.answers);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  const auto path = std::filesystem::path(argv[0]).replace_filename("hello_plugin").string();
  const auto done = run(path, argc > 1 && std::string_view(argv[1]) == "--wait");
  if (done) return 0;
  std::fprintf(stderr, "coroutine_host: %s\n", done.error().message().c_str());
  return 1;
}
