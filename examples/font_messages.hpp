// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

/// What font_host and its plugins agree on.
namespace example {

/// `Envelope::type`; the correlation id of an answer is its request's.
enum MessageType : std::uint32_t {
  kHello = 1,       ///< asks, or tells, whether the plugin is up; empty
  kDecompress = 2,  ///< to `fonts`: a WOFF2 file
  kFont = 3,        ///< from `fonts`: the font, decompressed; a kFontTiming follows
  kRefused = 4,     ///< from `fonts`: one sentence that says why there is no font
  kFontTiming = 5,  ///< from `fonts`: a FontTiming, after the font so as not to delay it
  kMinify = 6,      ///< to the small plugins: text
  kMinified = 7,    ///< from them: see small_work.hpp
};

/// The time that the plugin had the request, and what it went into.
struct FontTiming {
  std::int64_t total_ns = 0;  ///< from the request received to just before the font is sent
  std::int64_t loan_ns = 0;   ///< of it, waiting for the memory to write to
  std::uint64_t page_faults = 0;
};

/// A `T` out of a payload; nothing when the size does not fit.
template <class T>
std::optional<T> read_plain(std::span<const std::byte> payload) {
  if (payload.size() != sizeof(T)) return std::nullopt;
  T value{};
  std::memcpy(&value, payload.data(), sizeof value);
  return value;
}

}  // namespace example
