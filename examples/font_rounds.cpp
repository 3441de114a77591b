// SPDX-License-Identifier: MIT
#include "font_rounds.hpp"

#include <woff2/decode.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "font_messages.hpp"
#include "page_faults.hpp"

namespace example {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double ns_to_ms(std::int64_t ns) {
  return static_cast<double>(ns) * 1e-6;
}

}  // namespace

tl::unexpected<std::string> failed(mews::Plugin& plugin, const mews::Error& error) {
  if (error.code() == mews::ErrorCode::peer_died) {
    if (const auto exit = plugin.wait_exit(1s)) return tl::unexpected(exit->description);
  }
  return tl::unexpected(plugin.name() + ": " + error.message());
}

Outcome<RoundTrip> decompress_in_plugin(mews::Plugin& fonts, std::span<const std::byte> woff2) {
  auto& channel = fonts.channel();
  const auto start = Clock::now();
  auto loan = channel.loan(woff2.size());
  if (!loan) return failed(fonts, loan.error());
  std::ranges::copy(woff2, loan->bytes().begin());
  if (auto sent = channel.send(std::move(*loan), {.type = kDecompress}); !sent) {
    return failed(fonts, sent.error());
  }
  auto font = channel.receive(60s);
  const double total_ms = ms_since(start);
  if (!font) return failed(fonts, font.error());
  if (font->type() != kFont) return tl::unexpected(fonts.name() + ": " + std::string(font->text()));

  const auto report = channel.receive(60s);
  if (!report) return failed(fonts, report.error());
  const auto timing = read_plain<FontTiming>(report->bytes());
  if (report->type() != kFontTiming || !timing)
    return tl::unexpected(fonts.name() + ": sent no timing");
  return RoundTrip{.total_ms = total_ms,
                   .plugin_ms = ns_to_ms(timing->total_ns),
                   .loan_ms = ns_to_ms(timing->loan_ns),
                   .page_faults = timing->page_faults,
                   .font = std::move(*font)};
}

LocalDecoder::LocalDecoder(std::span<const std::byte> woff2, std::size_t font_bytes)
    : woff2_(woff2),
      room_bytes_(font_bytes),
      room_(std::make_unique_for_overwrite<std::uint8_t[]>(font_bytes)) {}

Outcome<void> LocalDecoder::decompress() {
  woff2::WOFF2MemoryOut out(room_.get(), room_bytes_);
  const auto faults_before = page_faults_so_far();
  const auto start = Clock::now();
  const bool is_done = woff2::ConvertWOFF2ToTTF(
      reinterpret_cast<const std::uint8_t*>(woff2_.data()), woff2_.size(), &out);
  took_ms_ = ms_since(start);
  page_faults_ = page_faults_so_far() - faults_before;
  font_bytes_ = out.Size();
  if (!is_done) {
    return tl::unexpected("the host alone cannot decompress it into " +
                          std::to_string(room_bytes_) + " bytes");
  }
  return {};
}

std::span<const std::byte> LocalDecoder::font() const {
  return std::as_bytes(std::span(room_.get(), font_bytes_));
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto rank = std::ceil(share * static_cast<double>(values.size()));
  const auto index = std::max(static_cast<std::size_t>(rank), std::size_t{1}) - 1;
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(index));
  return values[index];
}

}  // namespace example
