// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "link_roles.hpp"
#include "site.hpp"

namespace process_test {

/// A host's and a plugin's session in one process, and a link over their channel.
class LinkPair {
 public:
  explicit LinkPair(mews::CreateOptions create = {},
                    mews::LinkOptions options = {.types = kLinkTypes})
      : host_(must(mews::Session::create(std::move(create)))) {
    auto [plugin, guest] = must(host_.connect("fonts"));
    plugin_.emplace(std::move(plugin));
    guest_.emplace(std::move(guest));
    here_ = must(mews::Link::over(std::move(plugin_->channel()), options));
    there_ = must(mews::Link::over(std::move(guest_->channel()), options));
  }
  LinkPair(const LinkPair&) = delete;
  LinkPair& operator=(const LinkPair&) = delete;
  ~LinkPair() { end(); }

  [[nodiscard]] mews::Session& host() noexcept { return host_; }
  [[nodiscard]] mews::Link& here() noexcept { return *here_; }
  [[nodiscard]] mews::Link& there() noexcept { return *there_; }
  /// Serves the plugin's end by `answer`, from so many threads.
  void serve(unsigned threads = 1) {
    for (unsigned i = 0; i < threads; ++i) {
      threads_.emplace_back(
          [link = *there_]() mutable { (void)link.serve(answer, mews::forever); });
    }
  }
  /// The host's end goes; the threads that serve end.
  void end() {
    here_.reset();
    for (auto& thread : threads_)
      thread.join();
    threads_.clear();
    end_plugin();
    plugin_.reset();
  }
  void end_plugin() {
    there_.reset();
    guest_.reset();
  }

 private:
  mews::Session host_;
  std::optional<mews::Plugin> plugin_;
  std::optional<mews::Session> guest_;
  std::optional<mews::Link> here_;
  std::optional<mews::Link> there_;
  std::vector<std::thread> threads_;
};

/// Links of `host` to so many plugins within this process, each served by a thread.
class LinkPlugins {
 public:
  LinkPlugins(mews::Session& host, std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      auto [plugin, guest] = must(host.connect("p" + std::to_string(i)));
      links.push_back(must(mews::Link::over(std::move(plugin.channel()))));
      auto there = must(mews::Link::over(std::move(guest.channel())));
      plugins_.push_back(std::move(plugin));
      threads_.emplace_back([link = std::move(there), session = std::move(guest)]() mutable {
        (void)link.serve(answer, mews::forever);
      });
    }
  }
  LinkPlugins(const LinkPlugins&) = delete;
  LinkPlugins& operator=(const LinkPlugins&) = delete;
  ~LinkPlugins() {
    links.clear();
    for (auto& thread : threads_)
      thread.join();
  }
  std::vector<mews::Link> links;

 private:
  std::vector<mews::Plugin> plugins_;
  std::vector<std::thread> threads_;
};

}  // namespace process_test
