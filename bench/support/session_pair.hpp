// SPDX-License-Identifier: MIT
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "mews/session.hpp"

namespace mews::bench {

/// A host and its plugin, which find each other at their first use: each in its own process. Made
/// before the processes part.
class SessionPair {
 public:
  explicit SessionPair(std::chrono::nanoseconds spin_limit);

  [[nodiscard]] Channel& host_channel();
  [[nodiscard]] Channel& plugin_channel();

 private:
  void create();
  void attach();

  LocalOptions local_;
  std::string address_;
  std::optional<Session> session_;
  std::optional<Plugin> plugin_;
};

}  // namespace mews::bench
