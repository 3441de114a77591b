// SPDX-License-Identifier: MIT
// One thread and three plugins: asks each of them several things and takes the answers in whatever
// order they come. With --kill the second plugin is killed first, and the others go on.
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mews/mews.hpp"

using namespace std::chrono_literals;

namespace {

struct Client {
  mews::Plugin plugin;
  mews::Link link;
};
struct Question {
  std::string plugin;
  std::string text;
  mews::PendingReply reply;
};

void print(Question& question) {
  const auto reply = question.reply.get();
  const auto answer = reply ? std::string(reply->text()) : reply.error().message();
  std::printf("%s, asked for %s: %s\n", question.plugin.c_str(), question.text.c_str(),
              answer.c_str());
}

/// What to do about a plugin whose link has ended.
void say_goodbye(const mews::Plugin& plugin, const mews::Error& why) {
  switch (why.code()) {
    case mews::ErrorCode::closed:  // in good order: that is no fault
      std::printf("%s has ended\n", plugin.name().c_str());
      return;
    case mews::ErrorCode::peer_died:  // a crash; all that it had is taken back
      std::printf("%s has died: %s\n", plugin.name().c_str(), why.message().c_str());
      return;
    default:
      std::printf("%s is cut off: %s\n", plugin.name().c_str(), why.message().c_str());
  }
}

/// Until every question has its answer, or an error in its place.
mews::Result<void> wait_for_all(std::vector<Client>& clients, std::vector<Question>& asked) {
  auto set = mews::WaitSet::create();
  if (!set) return tl::unexpected(set.error());
  for (std::size_t i = 0; i < clients.size(); ++i) {
    if (auto added = set->add(clients[i].link, i); !added) return added;
  }
  while (!asked.empty()) {
    const auto ready = set->wait(mews::forever);
    if (!ready) return tl::unexpected(ready.error());
    for (const auto& member : *ready) {
      const auto taken = clients[member.key].link.dispatch();
      if (taken) continue;
      say_goodbye(clients[member.key].plugin, taken.error());
      set->remove(member.key);
    }
    std::erase_if(asked, [](Question& question) {
      const bool is_ready = question.reply.is_ready();
      if (is_ready) print(question);
      return is_ready;
    });
  }
  return {};
}

mews::Result<void> run(const std::string& plugin_path, bool is_to_kill) {
  auto host = mews::Session::create({.name = "many"});
  if (!host) return tl::unexpected(host.error());
  std::vector<Client> clients;
  for (const char* name : {"one", "two", "three"}) {
    auto plugin = host->spawn(name, {plugin_path});
    if (!plugin) return tl::unexpected(plugin.error());
    auto link = mews::Link::over(std::move(plugin->channel()));
    if (!link) return tl::unexpected(link.error());
    clients.push_back({std::move(*plugin), std::move(*link)});
  }
  if (is_to_kill) (void)clients[1].plugin.kill(SIGKILL);

  std::vector<Question> asked;
  for (auto& client : clients) {
    for (const char* name : {"merlin", "kestrel", "hobby"}) {
      auto started = client.link.start(name, {.type = 1}, 5s);
      if (started) asked.push_back({client.plugin.name(), name, std::move(*started)});
    }
  }
  return wait_for_all(clients, asked);
}

}  // namespace

int main(int argc, char** argv) {
  const auto path = std::filesystem::path(argv[0]).replace_filename("hello_plugin").string();
  const auto done = run(path, argc > 1 && std::string_view(argv[1]) == "--kill");
  if (done) return 0;
  std::fprintf(stderr, "many_host: %s\n", done.error().message().c_str());
  return 1;
}
