// SPDX-License-Identifier: MIT
#include "compare/font.hpp"

#include "support/fail.hpp"

#if defined(MEWS_COMPARE_WOFF2)
#include <woff2/decode.h>
#include <woff2/output.h>
#endif

namespace mews::bench::compare {

#if defined(MEWS_COMPARE_WOFF2)

std::size_t decompressed_bytes(const std::string& font) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(font.data());
  // What the header says is a guess: the true size shows when it is done.
  const auto guess = woff2::ComputeWOFF2FinalSize(bytes, font.size());
  if (guess == 0) return 0;
  std::string text(guess, '\0');
  woff2::WOFF2StringOut out(&text);
  return woff2::ConvertWOFF2ToTTF(bytes, font.size(), &out) ? out.Size() : 0;
}

void decompress_font(std::span<const std::byte> font, std::span<std::byte> into) {
  woff2::WOFF2MemoryOut out(reinterpret_cast<std::uint8_t*>(into.data()), into.size());
  require(woff2::ConvertWOFF2ToTTF(reinterpret_cast<const std::uint8_t*>(font.data()), font.size(),
                                   &out) &&
              out.Size() == into.size(),
          "a font does not decompress");
}

#else

std::size_t decompressed_bytes(const std::string&) {
  return 0;
}

void decompress_font(std::span<const std::byte>, std::span<std::byte>) {
  fail("built without the decoder of fonts (Debian: libwoff-dev)");
}

#endif

}  // namespace mews::bench::compare
