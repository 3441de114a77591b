// SPDX-License-Identifier: MIT
// A host and its plugin, in two processes: the plugin echoes what the host sends. Started with an
// argument it is the plugin.
#include <algorithm>
#include <cstdio>
#include <iostream>
#include <mews/mews.hpp>
#include <sstream>
#include <vector>

namespace {

/// Returns every message until the host ends.
mews::Error serve() {
  auto plugin = mews::Session::attach();
  if (!plugin) return plugin.error();
  auto& channel = plugin->channel();
  for (;;) {
    auto request = channel.receive(mews::forever);
    if (!request) return request.error();
    const auto envelope = request->envelope();
    auto sent = channel.send(std::move(*request).into_loan(), envelope);
    if (!sent) return sent.error();
  }
}

mews::Result<bool> echo(mews::Channel& channel, mews::WaitSet& set, std::size_t bytes) {
  const std::vector<std::byte> text(bytes, std::byte{42});
  if (auto sent = channel.send(text, {.type = 1, .correlation = bytes}); !sent) {
    return tl::unexpected(sent.error());
  }
  const auto ready = set.wait(std::chrono::seconds(20));
  if (!ready) return tl::unexpected(ready.error());
  if (ready->size() != 1 || ready->front().key != 1) return false;
  const auto reply = channel.try_receive();
  if (!reply) return tl::unexpected(reply.error());
  return std::ranges::equal(reply->bytes(), text) && reply->correlation() == bytes;
}

/// One call, both ends in this thread.
mews::Result<bool> call(mews::Session& host) {
  auto joined = host.connect("called");
  if (!joined) return tl::unexpected(joined.error());
  auto& [plugin, guest] = *joined;
  auto here = mews::Link::over(std::move(plugin.channel()));
  if (!here) return tl::unexpected(here.error());
  auto there = mews::Link::over(std::move(guest.channel()));
  if (!there) return tl::unexpected(there.error());
  auto pending = here->start("question", {.type = 2});
  if (!pending) return tl::unexpected(pending.error());
  auto request = there->accept();
  if (!request) return tl::unexpected(request.error());
  if (request->text() != "question" || request->is_cancelled()) return false;
  if (auto sent = request->reply("answer"); !sent) return tl::unexpected(sent.error());
  const auto reply = pending->get();
  if (!reply) return tl::unexpected(reply.error());
  return reply->text() == "answer" && here->open_calls() == 0;
}

mews::Result<bool> run(const char* program) {
  auto host = mews::Session::create({.name = "consumer"});
  if (!host) return tl::unexpected(host.error());
  auto plugin = host->spawn("echo", {program, "plugin"});
  if (!plugin) return tl::unexpected(plugin.error());
  auto set = mews::WaitSet::create();
  if (!set) return tl::unexpected(set.error());
  if (auto added = set->add(plugin->channel(), 1); !added) return tl::unexpected(added.error());
  for (const std::size_t bytes : {0, 480, 100'000}) {  // in the ring, and in the arena
    auto is_same = echo(plugin->channel(), *set, bytes);
    if (!is_same || !*is_same) return is_same;
  }
  if (auto is_answered = call(*host); !is_answered || !*is_answered) return is_answered;
  host->shutdown(std::chrono::seconds(20));
  const auto exit = plugin->exit();
  return exit && !exit->is_signal && exit->number == 0;
}

int failed(const mews::Error& why) {
  std::cerr << "consumer: " << why << '\n';
  return 1;
}

/// Uses each function that belongs to no class; a shared library must export them as well.
bool has_all_functions() {
  std::ostringstream text;
  text << mews::ErrorCode::closed << ' ' << mews::to_string(mews::ErrorCode::closed);
  const std::error_code code = mews::ErrorCode::closed;
  return text.str() == "closed closed" && code.category() == mews::error_category() &&
         !mews::default_size_classes().empty();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    const auto end = serve();
    return end.code() == mews::ErrorCode::closed ? 0 : failed(end);
  }
  if (!has_all_functions()) return failed({mews::ErrorCode::os_error, "a free function is wrong"});
  const auto is_good = run(argv[0]);
  if (!is_good) return failed(is_good.error());
  std::puts(*is_good ? "consumer: every message came back"
                     : "consumer: something CAME BACK CHANGED");
  return *is_good ? 0 : 1;
}
