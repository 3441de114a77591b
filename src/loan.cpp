// SPDX-License-Identifier: MIT
#include "mews/loan.hpp"

#include <fmt/format.h>

namespace mews::inline MEWS_LAYOUT::detail {

Error misfit(const std::byte* data, std::size_t bytes, std::size_t object_bytes,
             std::size_t object_alignment) noexcept {
  return Error(ErrorCode::invalid_argument, detail_text([&] {
                 if (data == nullptr) return std::string("it is empty: it was sent or moved from");
                 if (reinterpret_cast<std::uintptr_t>(data) % object_alignment != 0) {
                   return fmt::format(
                       "the payload is not aligned to {} bytes, as the type requires",
                       object_alignment);
                 }
                 return fmt::format("the payload has {} bytes, the type {}", bytes, object_bytes);
               }));
}

}  // namespace mews::inline MEWS_LAYOUT::detail
