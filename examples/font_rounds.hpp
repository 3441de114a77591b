// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mews/mews.hpp"

namespace example {

/// A value, or a sentence for the user.
template <class T>
using Outcome = tl::expected<T, std::string>;

/// The sentence for an error on a plugin's channel; after a death it says how the process ended.
[[nodiscard]] tl::unexpected<std::string> failed(mews::Plugin& plugin, const mews::Error& error);

/// One font to the plugin and back. The round trip starts before the request's memory is asked
/// for, so it includes copying the compressed file into the arena.
struct RoundTrip {
  double total_ms = 0;
  double plugin_ms = 0;           ///< of it, by the plugin's own clock
  double loan_ms = 0;             ///< of the plugin's time, getting the memory for the font
  std::uint64_t page_faults = 0;  ///< of the plugin meanwhile
  mews::Message font;             ///< the decompressed bytes, where the plugin wrote them
};

/// Blocks until the font has come back; at most a minute.
[[nodiscard]] Outcome<RoundTrip> decompress_in_plugin(mews::Plugin& fonts,
                                                      std::span<const std::byte> woff2);

/// The same decompression in this process, without any message: always into the same memory, so
/// it is warm from the second time on.
class LocalDecoder {
 public:
  LocalDecoder(std::span<const std::byte> woff2, std::size_t font_bytes);

  [[nodiscard]] Outcome<void> decompress();
  [[nodiscard]] std::span<const std::byte> woff2() const { return woff2_; }

  /// What came of it last, how long it took, and what it faulted in.
  [[nodiscard]] std::span<const std::byte> font() const;
  [[nodiscard]] double took_ms() const { return took_ms_; }
  [[nodiscard]] std::uint64_t page_faults() const { return page_faults_; }

 private:
  std::span<const std::byte> woff2_;
  std::size_t room_bytes_;
  std::unique_ptr<std::uint8_t[]> room_;  // uninitialised, so the first time pays for its pages
  std::size_t font_bytes_ = 0;
  double took_ms_ = 0;
  std::uint64_t page_faults_ = 0;
};

/// The middle one, or the mean of the middle two; 0 for none.
[[nodiscard]] double median(std::vector<double> values);
/// The value that `share` (0 to 1) of all do not exceed; 0 for none.
[[nodiscard]] double percentile(std::vector<double> values, double share);

}  // namespace example
