// SPDX-License-Identifier: MIT
#include "font_site.hpp"

#include <array>
#include <chrono>
#include <utility>

#include "font_messages.hpp"

namespace example {

namespace {

using namespace std::chrono_literals;

constexpr std::array<const char*, 16> kSmallPlugins = {"webp",
                                                       "jxl",
                                                       "minify",
                                                       "svgo",
                                                       "sass",
                                                       "css",
                                                       "js",
                                                       "search-index",
                                                       "image",
                                                       "link-check",
                                                       "code-execution",
                                                       "html-diff",
                                                       "html",
                                                       "markdown",
                                                       "syntax-highlight",
                                                       "http"};

std::vector<mews::SizeClass> small_classes() {
  return {{1 << 10, 4096}, {16 << 10, 512}, {256 << 10, 64}, {4 << 20, 16}, {16 << 20, 16}};
}

/// Waits until the plugin is up.
Outcome<void> greet(mews::Plugin& plugin) {
  auto& channel = plugin.channel();
  if (auto sent = channel.send(std::span<const std::byte>{}, {.type = kHello}); !sent) {
    return failed(plugin, sent.error());
  }
  if (const auto answer = channel.receive(10s); !answer) {
    return failed(plugin, answer.error());
  }
  return {};
}

}  // namespace

Outcome<Site> start_site(const SiteOptions& options) {
  mews::CreateOptions create{.name = "site"};
  if (options.is_small_arena) create.size_classes = small_classes();
  auto session = mews::Session::create(std::move(create));
  if (!session) return tl::unexpected(session.error().message());
  Site site{.session = std::move(*session)};

  auto fonts = site.session.spawn(
      "fonts", {options.plugins_dir + "/font_plugin", "fonts", std::to_string(options.spoil_font)});
  if (!fonts) return tl::unexpected(fonts.error().message());
  site.fonts = std::move(*fonts);
  for (const char* name : kSmallPlugins) {
    auto plugin = site.session.spawn(name, {options.plugins_dir + "/small_plugin", name});
    if (!plugin) return tl::unexpected(plugin.error().message());
    site.small.push_back(std::move(*plugin));
  }
  if (auto up = greet(*site.fonts); !up) return tl::unexpected(up.error());
  for (auto& plugin : site.small) {
    if (auto up = greet(plugin); !up) return tl::unexpected(up.error());
  }
  return site;
}

}  // namespace example
