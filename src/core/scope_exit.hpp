// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <utility>

#include "mews/base/layout_version.hpp"

namespace mews::inline MEWS_LAYOUT::detail {

/// Runs a function in its destructor. Move-only; an empty one does nothing.
class ScopeExit {
 public:
  ScopeExit() = default;
  explicit ScopeExit(std::function<void()> run) noexcept : run_(std::move(run)) {}
  ScopeExit(ScopeExit&& other) noexcept : run_(std::exchange(other.run_, nullptr)) {}
  ScopeExit& operator=(ScopeExit&& other) noexcept {
    std::swap(run_, other.run_);
    return *this;
  }
  ~ScopeExit() {
    if (run_) run_();
  }

 private:
  std::function<void()> run_;
};

}  // namespace mews::inline MEWS_LAYOUT::detail
