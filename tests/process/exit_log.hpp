// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "site.hpp"

namespace process_test {

/// What `on_exit` was told, in order.
class ExitLog {
 public:
  [[nodiscard]] std::function<void(const mews::PluginExit&)> callback() {
    return [this](const mews::PluginExit& exit) {
      const std::lock_guard lock(mutex_);
      exits_.push_back(exit);
    };
  }
  /// The exits, once there are `count` of them.
  [[nodiscard]] std::vector<mews::PluginExit> exits(std::size_t count) {
    static_cast<void>(eventually([&] {
      const std::lock_guard lock(mutex_);
      return exits_.size() >= count;
    }));
    const std::lock_guard lock(mutex_);
    return exits_;
  }
  /// Their descriptions.
  [[nodiscard]] std::vector<std::string> lines(std::size_t count) {
    std::vector<std::string> lines;
    for (const auto& exit : exits(count))
      lines.push_back(exit.description);
    return lines;
  }

 private:
  std::mutex mutex_;
  std::vector<mews::PluginExit> exits_;
};

[[nodiscard]] inline mews::PluginOptions on_crash(ExitLog& log) {
  mews::PluginOptions options;
  options.restart = mews::Restart::on_crash;
  options.on_exit = log.callback();
  return options;
}

}  // namespace process_test
