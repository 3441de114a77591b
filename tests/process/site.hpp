// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "../support/process_state.hpp"
#include "roles.hpp"

namespace process_test {

using mews_test::state_of;

enum class Where { one_process, two_processes };

[[nodiscard]] inline Words command(const Words& words) {
  Words command{MEWS_TEST_BIN_DIR "/role_plugin"};
  command.insert(command.end(), words.begin(), words.end());
  return command;
}

/// A name that no other run of the tests uses now.
[[nodiscard]] inline std::string unique_name(const std::string& stem) {
  static int count = 0;
  return stem + "-" + std::to_string(::getpid()) + "-" + std::to_string(++count);
}

/// A host with one plugin that plays a role: in a thread here, or in a process of its own.
class Site {
 public:
  Site(Where where, const Words& words, mews::CreateOptions options = {})
      : host_(must(mews::Session::create(std::move(options)))) {
    if (where == Where::two_processes) {
      plugin_.emplace(must(host_.spawn(words.at(0), command(words))));
      return;
    }
    auto [plugin, guest] = must(host_.connect(words.at(0)));
    plugin_.emplace(std::move(plugin));
    thread_ = std::thread([words, session = std::move(guest)]() mutable {
      static_cast<void>(play(session.channel(), words));
    });
  }
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;
  ~Site() {
    plugin_.reset();
    if (thread_.joinable()) thread_.join();
  }

  [[nodiscard]] mews::Session& host() noexcept { return host_; }
  [[nodiscard]] mews::Plugin& plugin() noexcept { return *plugin_; }
  [[nodiscard]] mews::Channel& channel() noexcept { return plugin_->channel(); }

  /// Sends `bytes` bytes, filled with `seed`, and says how they came back.
  [[nodiscard]] std::string round_trip(std::size_t bytes, mews::Envelope envelope = {}) {
    auto loan = channel().loan(bytes, kPatience);
    if (!loan) return loan.error().message();
    const auto seed = envelope.correlation + bytes;
    fill(loan->bytes(), seed);
    if (auto sent = channel().send(std::move(*loan), envelope, kPatience); !sent) {
      return sent.error().message();
    }
    const auto reply = channel().receive(kPatience);
    if (!reply) return reply.error().message();
    if (reply->size() != bytes) return std::to_string(reply->size()) + " bytes came back";
    if (reply->type() != envelope.type || reply->correlation() != envelope.correlation) {
      return "type " + std::to_string(reply->type()) + ", correlation " +
             std::to_string(reply->correlation());
    }
    return is_filled(reply->bytes(), seed) ? "the same" : "other bytes";
  }

 private:
  mews::Session host_;
  std::optional<mews::Plugin> plugin_;
  std::thread thread_;
};

/// Waits until `is_true()`, looking again and again; false when patience ends.
template <class IsTrue>
[[nodiscard]] bool eventually(IsTrue&& is_true) {
  const mews::Deadline deadline(kPatience);
  while (!is_true()) {
    if (deadline.has_passed()) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

/// `count` messages of all sizes, each answered by an echo before the next; what went wrong, or
/// nothing.
[[nodiscard]] inline std::string converse(mews::Channel& channel, std::uint64_t count,
                                          std::uint64_t salt) {
  for (std::uint64_t i = 0; i < count; ++i) {
    auto loan = channel.loan(mixed_size(salt + i), kPatience);
    if (!loan) return loan.error().message();
    fill(loan->bytes(), salt + i);
    const mews::Envelope envelope{.type = kForward, .correlation = i};
    if (auto sent = channel.send(std::move(*loan), envelope, kPatience); !sent) {
      return sent.error().message();
    }
    const auto reply = channel.receive(kPatience);
    if (!reply) return reply.error().message();
    if (reply->correlation() != i || !is_filled(reply->bytes(), salt + i)) return "another message";
  }
  return {};
}

}  // namespace process_test
