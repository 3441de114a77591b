// SPDX-License-Identifier: MIT
// A 35 MB picture passes through two plugins, which change it in place: the memory that comes
// back is the memory that was sent.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "mews/mews.hpp"
#include "picture.hpp"

using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t kWidth = 4096;
constexpr std::uint32_t kHeight = 2160;

picture::Pixel gradient(std::uint32_t column, std::uint32_t row) {
  return {static_cast<std::uint8_t>(column), static_cast<std::uint8_t>(row),
          static_cast<std::uint8_t>(column / 16 + row / 16), 255};
}

/// The gradient after both plugins: upside down, colours inverted.
picture::Pixel expected(std::uint32_t column, std::uint32_t row) {
  const auto before = gradient(column, kHeight - 1 - row);
  return {static_cast<std::uint8_t>(255 - before.red),
          static_cast<std::uint8_t>(255 - before.green),
          static_cast<std::uint8_t>(255 - before.blue), before.alpha};
}

void paint(mews::Loan& loan) {
  const picture::Header header{kWidth, kHeight};
  std::memcpy(loan.bytes().data(), &header, sizeof header);
  const auto pixels = picture::view(loan.bytes())->pixels;
  for (std::uint32_t row = 0; row < kHeight; ++row) {
    for (std::uint32_t column = 0; column < kWidth; ++column) {
      pixels[std::size_t{row} * kWidth + column] = gradient(column, row);
    }
  }
}

bool is_as_expected(mews::Loan& loan) {
  const auto view = picture::view(loan.bytes());
  if (!view || view->width != kWidth || view->height != kHeight) return false;
  for (std::uint32_t row = 0; row < kHeight; ++row) {
    for (std::uint32_t column = 0; column < kWidth; ++column) {
      if (view->pixels[std::size_t{row} * kWidth + column] != expected(column, row)) return false;
    }
  }
  return true;
}

/// Sends the picture to a plugin and waits for it to come back.
mews::Result<mews::Loan> pass_through(mews::Plugin& plugin, mews::Loan loan) {
  const auto start = std::chrono::steady_clock::now();
  if (auto sent = plugin.channel().send(std::move(loan), {.type = picture::kPicture}); !sent) {
    return tl::unexpected(sent.error());
  }
  auto reply = plugin.channel().receive(10s);
  if (!reply) return tl::unexpected(reply.error());
  if (reply->type() != picture::kPicture) {
    return mews::fail(mews::ErrorCode::invalid_argument, plugin.name() + " refused the picture");
  }
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  std::printf("%-6s  came back after %5.1f ms at %p\n", plugin.name().c_str(), took.count(),
              static_cast<const void*>(reply->bytes().data()));
  return std::move(*reply).into_loan();
}

/// Whether pixels and memory are what they should be.
mews::Result<bool> run(const std::string& plugin_path) {
  auto host = mews::Session::create({.name = "picture"});
  if (!host) return tl::unexpected(host.error());
  auto invert = host->spawn("invert", {plugin_path, "invert"});
  if (!invert) return tl::unexpected(invert.error());
  auto flip = host->spawn("flip", {plugin_path, "flip"});
  if (!flip) return tl::unexpected(flip.error());

  auto loan = invert->channel().loan(picture::payload_bytes(kWidth, kHeight));
  if (!loan) return tl::unexpected(loan.error());
  paint(*loan);
  const void* const address = loan->bytes().data();
  std::printf("picture %u x %u, %zu bytes, painted at %p\n", kWidth, kHeight, loan->size(),
              address);

  auto inverted = pass_through(*invert, std::move(*loan));
  if (!inverted) return tl::unexpected(inverted.error());
  auto flipped = pass_through(*flip, std::move(*inverted));
  if (!flipped) return tl::unexpected(flipped.error());

  const bool is_same_memory = flipped->bytes().data() == address;
  const bool is_right = is_as_expected(*flipped);
  std::printf("pixels  %s\nmemory  %s\n", is_right ? "as expected" : "WRONG",
              is_same_memory ? "the same all the way: nothing was copied" : "NOT THE SAME");
  return is_right && is_same_memory;
}

}  // namespace

int main(int, char** argv) {
  const std::string own_path = argv[0];
  const auto is_good = run(own_path.substr(0, own_path.rfind('/') + 1) + "picture_plugin");
  if (!is_good) {
    std::fprintf(stderr, "picture_host: %s\n", is_good.error().message().c_str());
    return 1;
  }
  return *is_good ? 0 : 1;
}
