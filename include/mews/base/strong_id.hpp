// SPDX-License-Identifier: MIT
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

#include "mews/base/layout_version.hpp"

namespace mews::inline MEWS_LAYOUT::base {

/// An index that cannot be mistaken for another kind of index: ids with different tags neither
/// convert nor compare.
template <class Tag, class Value = std::uint32_t>
class StrongId {
 public:
  constexpr StrongId() noexcept = default;
  explicit constexpr StrongId(Value value) noexcept : value_(value) {}

  [[nodiscard]] constexpr Value value() const noexcept { return value_; }
  friend constexpr auto operator<=>(StrongId, StrongId) noexcept = default;

 private:
  Value value_ = 0;
};

}  // namespace mews::inline MEWS_LAYOUT::base

template <class Tag, class Value>
struct std::hash<mews::base::StrongId<Tag, Value>> {
  std::size_t operator()(mews::base::StrongId<Tag, Value> id) const noexcept {
    return std::hash<Value>{}(id.value());
  }
};
