// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <utility>

namespace mews::detail {

/// Runs a function when it goes. Move-only; an empty one does nothing.
class AtEnd {
 public:
  AtEnd() = default;
  explicit AtEnd(std::function<void()> run) noexcept : run_(std::move(run)) {}
  AtEnd(AtEnd&& other) noexcept : run_(std::exchange(other.run_, nullptr)) {}
  AtEnd& operator=(AtEnd&& other) noexcept {
    std::swap(run_, other.run_);
    return *this;
  }
  ~AtEnd() {
    if (run_) run_();
  }

 private:
  std::function<void()> run_;
};

}  // namespace mews::detail
