// SPDX-License-Identifier: MIT
// Calls in all their forms, with calls_plugin, which lies beside it; docs/calls.md shows its parts.
#include <poll.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "calls_types.hpp"
#include "mews/mews.hpp"

using namespace std::chrono_literals;

namespace {

const std::vector<std::string> kTexts{"the raptor", "the mews and the hood", "a lure", ""};

mews::Result<void> one_after_the_other(mews::Link& link) {
  for (const auto& text : kTexts) {
    auto reply = link.call(text, {.type = kCountWords}, 5s);
    if (!reply) return tl::unexpected(reply.error());
    std::printf("%.*s words in '%s'\n", int(reply->size()), reply->text().data(), text.c_str());
  }
  return {};
}

mews::Result<void> all_at_once(mews::Link& link) {
  std::vector<mews::PendingReply> pending;
  for (const auto& text : kTexts) {
    auto started = link.start(text, {.type = kCountWords}, 5s);
    if (!started) return tl::unexpected(started.error());
    pending.push_back(std::move(*started));
  }
  for (auto& one : pending) {
    auto reply = one.get();
    if (!reply) return tl::unexpected(reply.error());
    std::printf("%.*s words\n", int(reply->size()), reply->text().data());
  }
  return {};
}

/// Returns whether it failed as it should.
bool too_slow(mews::Link& link) {
  const auto reply = link.call("", {.type = kSleep}, 50ms);
  if (reply) return false;
  std::puts(reply.error().message().c_str());  // "... words: sleep: no answer for 50 ms, taken ..."
  return reply.error().code() == mews::ErrorCode::timed_out && reply.error().was_started();
}

bool stopped(mews::Link& link) {
  std::jthread caller([&link](const std::stop_token& stop) {
    const auto reply = link.call("", {.type = kSleep}, mews::forever, stop);
    if (!reply) std::puts(reply.error().message().c_str());
  });
  std::this_thread::sleep_for(20ms);
  return caller.request_stop();
}

bool by_an_event_loop(mews::Link& link) {
  int left = 0;
  std::vector<mews::PendingReply> pending;
  for (const auto& text : kTexts) {
    auto started = link.start(text, {.type = kCountWords}, 5s);
    if (!started || !started->on_ready([&left] { --left; })) return false;
    ++left;
    pending.push_back(std::move(*started));
  }
  while (left > 0) {
    auto armed = link.arm_event();
    if (!armed) return false;
    pollfd ready{.fd = link.event_fd(), .events = POLLIN, .revents = 0};
    if (*armed && ::poll(&ready, 1, 5000) <= 0) return false;
    if (!link.dispatch()) return false;  // runs what `on_ready` was given
  }
  return true;
}

mews::Result<void> through_a_stream(mews::Link& link) {
  auto stream = link.open("", {.type = kNumberLines}, 5s);
  if (!stream) return tl::unexpected(stream.error());
  std::jthread writer([&stream] {
    for (const char* line : {"hooded", "on the block", "at hack"})
      if (!stream->send(line, 5s)) return;
    (void)stream->finish();
  });
  for (;;) {
    auto line = stream->receive(5s);
    if (!line) return tl::unexpected(line.error());
    if (line->size() == 0) break;
    std::printf("line %.*s\n", int(line->size()), line->text().data());
  }
  return stream->wait_over(5s);  // both have finished: nothing is lost
}

int end(const mews::Error& why) {
  std::fprintf(stderr, "calls_host: %s\n", why.message().c_str());
  return 1;
}

int failed(const char* what) {
  std::fprintf(stderr, "calls_host: %s\n", what);
  return 1;
}

}  // namespace

int main(int, char** argv) {
  const auto path = std::filesystem::path(argv[0]).replace_filename("calls_plugin").string();
  auto host = mews::Session::create({.name = "calls"});
  if (!host) return end(host.error());
  auto plugin = host->spawn("words", {path});
  if (!plugin) return end(plugin.error());
  auto link = mews::Link::over(std::move(plugin->channel()), {.credits = 8, .types = kTypeNames});
  if (!link) return end(link.error());

  // Answers the plugin's own calls.
  std::jthread server([link = *link](const std::stop_token& stop) mutable {
    const auto answer = [](mews::Request& request) { (void)request.reply("the"); };
    (void)link.serve(answer, mews::forever, stop);
  });
  if (auto done = one_after_the_other(*link); !done) return end(done.error());
  if (auto done = all_at_once(*link); !done) return end(done.error());
  if (!too_slow(*link)) return failed("a call that is too slow has no right end");
  if (!stopped(*link)) return failed("a call cannot be stopped");
  if (!by_an_event_loop(*link)) return failed("the event loop has missed a reply");
  if (auto done = through_a_stream(*link); !done) return end(done.error());
  server.request_stop();
  server.join();
  host->shutdown(5s);
  const auto exit = plugin->exit();
  return exit && !exit->is_signal ? exit->number : failed("the plugin has not ended well");
}
