// SPDX-License-Identifier: MIT
// Decompresses WOFF2 fonts into the arena; started by font_host.
#include <woff2/decode.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <new>
#include <span>
#include <string>
#include <utility>

#include "font_messages.hpp"
#include "loan_out.hpp"
#include "mews/mews.hpp"
#include "page_faults.hpp"

namespace {

using Clock = std::chrono::steady_clock;

/// A font, or the sentence that says why there is none.
using Decoded = tl::expected<mews::Loan, std::string>;

std::int64_t ns_since(Clock::time_point start) {
  return std::chrono::nanoseconds(Clock::now() - start).count();
}

/// How much memory to ask for first. libwoff refuses what expands more than a hundredfold, so a
/// file that states more is not believed, and does not take memory that others need.
std::size_t first_loan_bytes(std::span<const std::byte> woff2) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(woff2.data());
  const std::size_t stated = woff2::ComputeWOFF2FinalSize(data, woff2.size());
  return std::clamp(stated, woff2.size(), 100 * woff2.size());
}

bool convert(std::span<const std::byte> woff2, example::LoanOut& out) {
  const auto* data = reinterpret_cast<const std::uint8_t*>(woff2.data());
  try {
    return woff2::ConvertWOFF2ToTTF(data, woff2.size(), &out);
  } catch (const std::bad_alloc&) {  // libwoff sizes its own buffers by what the file says
    return false;
  }
}

Decoded decode(mews::Channel& channel, std::span<const std::byte> woff2,
               example::FontTiming& timing) {
  const std::string size = std::to_string(woff2.size());
  if (woff2.size() < 4 || std::memcmp(woff2.data(), "wOF2", 4) != 0) {
    return tl::unexpected("the " + size + " bytes are not a WOFF2 file: no \"wOF2\" at the start");
  }
  const auto start = Clock::now();
  auto loan = channel.loan(first_loan_bytes(woff2));
  timing.loan_ns = ns_since(start);
  if (!loan) return tl::unexpected("no memory for the font: " + loan.error().message());
  example::LoanOut out(channel, std::move(*loan));
  if (!convert(woff2, out)) {
    if (out.error()) return tl::unexpected("no memory for the font: " + out.error()->message());
    return tl::unexpected("the WOFF2 file of " + size +
                          " bytes is damaged, cut short or too large");
  }
  return std::move(out).take();
}

mews::Result<void> decompress(mews::Channel& channel, const mews::Message& request,
                              bool is_spoilt) {
  const auto start = Clock::now();
  const auto faults_before = example::page_faults_so_far();
  example::FontTiming timing;
  auto font = decode(channel, request.bytes(), timing);
  if (!font) {
    return channel.send(std::as_bytes(std::span(font.error())),
                        {.type = example::kRefused, .correlation = request.correlation()});
  }
  timing.page_faults = example::page_faults_so_far() - faults_before;
  timing.total_ns = ns_since(start);
  if (is_spoilt) font->bytes()[font->size() / 2] ^= std::byte{1};
  auto sent = channel.send(std::move(*font),
                           {.type = example::kFont, .correlation = request.correlation()});
  if (!sent) return sent;
  return channel.send(std::as_bytes(std::span(&timing, 1)),
                      {.type = example::kFontTiming, .correlation = request.correlation()});
}

/// `spoilt`: the number of the font to change a byte of, from 1; 0 for none.
mews::Error serve(std::uint64_t spoilt) {
  auto plugin = mews::Session::attach();
  if (!plugin) return plugin.error();
  auto& channel = plugin->channel();
  std::uint64_t fonts = 0;
  for (;;) {
    auto request = channel.receive(mews::forever);
    if (!request) return request.error();
    const auto answered = request->type() == example::kDecompress
                              ? decompress(channel, *request, ++fonts == spoilt)
                              : channel.send(request->bytes(), request->envelope());
    if (!answered) return answered.error();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto end = serve(argc > 2 ? std::stoull(argv[2]) : 0);
  if (end.code() == mews::ErrorCode::closed) return 0;
  std::fprintf(stderr, "font_plugin: %s\n", end.message().c_str());
  return 1;
}
