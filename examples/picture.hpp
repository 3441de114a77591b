// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

/// What picture_host and picture_plugin agree on.
namespace picture {

/// `Envelope::type` of every message that carries a picture, or says why there is none.
enum MessageType : std::uint32_t { kPicture = 1, kRefused = 2 };

/// Starts the payload; the pixels follow at `kPixelsOffset`, row by row, without gaps.
struct Header {
  std::uint32_t width;
  std::uint32_t height;
};
inline constexpr std::size_t kPixelsOffset = 64;

struct Pixel {
  std::uint8_t red, green, blue, alpha;
  bool operator==(const Pixel&) const = default;
};

constexpr std::size_t payload_bytes(std::uint32_t width, std::uint32_t height) {
  return kPixelsOffset + std::size_t{width} * height * sizeof(Pixel);
}

/// A payload seen as a picture.
struct View {
  std::uint32_t width;
  std::uint32_t height;
  std::span<Pixel> pixels;
};

/// Nothing when the header and the payload's size contradict each other.
inline std::optional<View> view(std::span<std::byte> payload) {
  if (payload.size() < kPixelsOffset) return std::nullopt;
  Header header{};
  std::memcpy(&header, payload.data(), sizeof header);
  if (payload.size() != payload_bytes(header.width, header.height)) return std::nullopt;
  auto* first = reinterpret_cast<Pixel*>(payload.data() + kPixelsOffset);
  return View{header.width, header.height, {first, std::size_t{header.width} * header.height}};
}

}  // namespace picture
