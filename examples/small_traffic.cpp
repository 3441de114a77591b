// SPDX-License-Identifier: MIT
#include "small_traffic.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>
#include <utility>

#include "font_messages.hpp"
#include "font_rounds.hpp"
#include "small_work.hpp"

namespace example {

namespace {

using namespace std::chrono_literals;

/// Most messages of a site are under 1 KiB; above 480 bytes they travel in a slab.
constexpr std::array<std::size_t, 6> kTextBytes = {24, 90, 200, 440, 600, 1000};

/// No answer for so long means that something is broken.
constexpr auto kPatience = 30s;

void write_text(std::string& text, const std::string& name, std::uint64_t number) {
  constexpr std::string_view kLine = "a   { color :  red ; }\n\n  ";
  text = name + ' ' + std::to_string(number) + '\n';
  const std::size_t bytes = kTextBytes[number % kTextBytes.size()];
  while (text.size() < bytes)
    text += kLine.substr(0, bytes - text.size());
}

}  // namespace

SmallTraffic::SmallTraffic(std::vector<mews::Plugin>& plugins, std::chrono::microseconds pause)
    : pause_(pause) {
  for (auto& plugin : plugins)
    clients_.push_back({.plugin = &plugin});
  figures_.latencies_us.reserve(1U << 16U);
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

SmallFigures SmallTraffic::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
  return std::move(figures_);
}

mews::Result<void> SmallTraffic::watch_all() {
  auto set = mews::WaitSet::create();
  if (!set) return tl::unexpected(set.error());
  set_.emplace(std::move(*set));
  for (std::size_t i = 0; i < clients_.size(); ++i) {
    if (auto added = set_->add(clients_[i].plugin->channel(), i); !added) return added;
  }
  return {};
}

void SmallTraffic::run(const std::stop_token& stop) {
  if (const auto watched = watch_all(); !watched) return fail(watched.error().message());
  const auto is_open = [](const Client& client) { return client.is_open; };
  while (!figures_.failure) {
    if (!stop.stop_requested()) {
      for (auto& client : clients_) {
        if (!client.is_open && client.at <= Clock::now()) ask(client);
      }
    } else if (std::ranges::none_of(clients_, is_open)) {
      return;
    }
    bool has_answer = false;
    for (auto& client : clients_) {
      if (client.is_open && take_answer(client)) has_answer = true;
    }
    if (!has_answer && !figures_.failure) wait();
  }
}

void SmallTraffic::ask(Client& client) {
  write_text(client.text, client.plugin->name(), asked_);
  client.correlation = asked_;
  client.is_counted = is_round_.load(std::memory_order_relaxed);
  client.at = Clock::now();
  const auto sent = client.plugin->channel().try_send(
      std::as_bytes(std::span(client.text)), {.type = kMinify, .correlation = client.correlation});
  if (sent) {
    client.is_open = true;
    ++asked_;
  } else {
    fail(failed(*client.plugin, sent.error()).value());
  }
}

bool SmallTraffic::take_answer(Client& client) {
  const auto answer = client.plugin->channel().try_receive();
  const auto now = Clock::now();
  if (!answer) {
    if (answer.error().code() != mews::ErrorCode::would_block) {
      fail(failed(*client.plugin, answer.error()).value());
    } else if (now - client.at > kPatience) {
      fail(client.plugin->name() + ": no answer to a small request for 30 s");
    }
    return false;
  }
  const std::chrono::duration<double, std::micro> latency = now - client.at;
  if (client.is_counted) figures_.latencies_us.push_back(latency.count());
  client.is_open = false;
  client.at = now + pause_;
  check(client, *answer);
  return true;
}

void SmallTraffic::check(const Client& client, const mews::Message& answer) {
  ++figures_.answered;
  std::array<std::byte, minified_limit_bytes(kTextBytes.back())> room;
  const auto expected = std::span(room).first(minify(std::as_bytes(std::span(client.text)), room));
  if (answer.type() != kMinified || answer.correlation() != client.correlation ||
      !std::ranges::equal(answer.bytes(), expected)) {
    ++figures_.wrong;
  }
}

void SmallTraffic::wait() {
  auto until = Clock::now() + 10ms;  // then `run` looks whether to stop
  for (const auto& client : clients_) {
    if (!client.is_open) until = std::min(until, client.at);
  }
  const auto ready = set_->wait(until);
  if (!ready && ready.error().code() != mews::ErrorCode::timed_out) fail(ready.error().message());
}

void SmallTraffic::fail(std::string sentence) {
  figures_.failure = std::move(sentence);
}

}  // namespace example
