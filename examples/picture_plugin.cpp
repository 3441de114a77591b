// SPDX-License-Identifier: MIT
// Changes each picture where it lies and sends the same memory back; started by picture_host.
#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

#include "mews/mews.hpp"
#include "picture.hpp"

namespace {

void invert(const picture::View& view) {
  for (auto& pixel : view.pixels) {
    pixel.red = static_cast<std::uint8_t>(255 - pixel.red);
    pixel.green = static_cast<std::uint8_t>(255 - pixel.green);
    pixel.blue = static_cast<std::uint8_t>(255 - pixel.blue);
  }
}

/// Upside down.
void flip(const picture::View& view) {
  for (std::uint32_t row = 0; row < view.height / 2; ++row) {
    const auto upper = view.pixels.subspan(std::size_t{row} * view.width, view.width);
    const auto lower =
        view.pixels.subspan(std::size_t{view.height - 1 - row} * view.width, view.width);
    std::ranges::swap_ranges(upper, lower);
  }
}

mews::Error serve(void (*change)(const picture::View&)) {
  auto plugin = mews::Session::attach();
  if (!plugin) return plugin.error();
  auto& channel = plugin->channel();
  for (;;) {
    auto request = channel.receive(mews::forever);
    if (!request) return request.error();
    auto envelope = request->envelope();
    auto loan = std::move(*request).into_loan();  // the same memory, now this process's to write
    if (const auto view = picture::view(loan.bytes())) {
      change(*view);
    } else {
      envelope.type = picture::kRefused;
    }
    if (auto sent = channel.send(std::move(loan), envelope); !sent) return sent.error();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view job = argc == 2 ? argv[1] : "";
  if (job != "invert" && job != "flip") {
    std::fprintf(stderr, "usage: picture_plugin invert|flip (picture_host starts it)\n");
    return 2;
  }
  const auto end = serve(job == "invert" ? invert : flip);
  if (end.code() == mews::ErrorCode::closed) return 0;
  std::fprintf(stderr, "picture_plugin %s: %s\n", argv[1], end.message().c_str());
  return 1;
}
