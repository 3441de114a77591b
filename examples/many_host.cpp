// SPDX-License-Identifier: MIT
// One thread and three plugins: asks each of them several things and takes the answers in whatever
// order they come. With --kill the second plugin is killed first, and the others go on.
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mews/mews.hpp"

using namespace std::chrono_literals;

namespace {

struct Question {
  std::string plugin;
  std::string text;
};
/// What has no answer yet, by its correlation.
using Asked = std::map<std::uint64_t, Question>;

void print(const Question& question, std::string_view answer) {
  std::printf("%s, asked for %s: %.*s\n", question.plugin.c_str(), question.text.c_str(),
              static_cast<int>(answer.size()), answer.data());
}

/// Takes all that has arrived. An error: nothing will come any more.
mews::Result<void> take_answers(mews::Channel& channel, Asked& asked) {
  auto answer = channel.try_receive();
  for (; answer; answer = channel.try_receive()) {
    // Answers come in any order: the correlation says which question this one is for.
    const auto asked_before = asked.extract(answer->correlation());
    if (asked_before) print(asked_before.mapped(), answer->text());
  }
  if (answer.error().code() == mews::ErrorCode::would_block) return {};
  return tl::unexpected(answer.error());
}

/// What to do about a plugin whose channel has ended.
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

/// Until every question is answered, or all who could answer are gone.
mews::Result<void> wait_for_all(std::vector<mews::Plugin>& plugins, Asked& asked) {
  auto set = mews::WaitSet::create();
  if (!set) return tl::unexpected(set.error());
  for (std::size_t i = 0; i < plugins.size(); ++i) {
    if (auto added = set->add(plugins[i].channel(), i); !added) return added;
  }
  while (!asked.empty()) {
    const auto ready = set->wait(mews::forever);
    if (!ready) return tl::unexpected(ready.error());
    for (const auto& member : *ready) {
      const auto& name = plugins[member.key].name();
      const auto taken = take_answers(plugins[member.key].channel(), asked);
      if (taken) continue;
      say_goodbye(plugins[member.key], taken.error());
      std::erase_if(asked, [&](const auto& entry) { return entry.second.plugin == name; });
    }
  }
  return {};
}

mews::Result<void> run(const std::string& plugin_path, bool is_to_kill) {
  auto host = mews::Session::create({.name = "many"});
  if (!host) return tl::unexpected(host.error());
  std::vector<mews::Plugin> plugins;
  for (const char* name : {"one", "two", "three"}) {
    auto plugin = host->spawn(name, {plugin_path});
    if (!plugin) return tl::unexpected(plugin.error());
    plugins.push_back(std::move(*plugin));
  }
  if (is_to_kill) (void)plugins[1].kill(SIGKILL);

  Asked asked;
  std::uint64_t correlation = 0;
  for (auto& plugin : plugins) {
    for (const std::string_view name : {"merlin", "kestrel", "hobby"}) {
      const auto sent = plugin.channel().send(std::as_bytes(std::span(name)),
                                              {.type = 1, .correlation = ++correlation});
      if (sent) asked.emplace(correlation, Question{plugin.name(), std::string(name)});
    }
  }
  return wait_for_all(plugins, asked);
}

}  // namespace

int main(int argc, char** argv) {
  const auto path = std::filesystem::path(argv[0]).replace_filename("hello_plugin").string();
  const auto done = run(path, argc > 1 && std::string_view(argv[1]) == "--kill");
  if (done) return 0;
  std::fprintf(stderr, "many_host: %s\n", done.error().message().c_str());
  return 1;
}
