// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "font_rounds.hpp"
#include "mews/mews.hpp"

namespace example {

/// The static-site generator of the story: one host and its 17 plugins. The session is declared
/// first, so that it outlives the plugins.
struct Site {
  mews::Session session;
  std::optional<mews::Plugin> fonts = {};
  std::vector<mews::Plugin> small = {};  ///< the other sixteen
};

struct SiteOptions {
  std::string plugins_dir;       ///< where font_plugin and small_plugin are
  bool is_small_arena = false;   ///< 0.4 GiB of address space instead of 5.5
  std::uint32_t spoil_font = 0;  ///< font_plugin changes a byte of that one, counted from 1
};

/// Blocks until every plugin has answered once.
[[nodiscard]] Outcome<Site> start_site(const SiteOptions& options);

}  // namespace example
