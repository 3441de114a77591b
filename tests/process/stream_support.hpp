// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "link_support.hpp"

/// What the tests of streams ask.
namespace process_test {

inline constexpr std::uint32_t kStreamType = 77;

/// Both ends of a stream.
struct Streams {
  mews::Stream here;
  mews::Stream there;
};

/// Opens a stream at `opener`, and accepts it at `acceptor`.
[[nodiscard]] inline Streams open_stream(mews::Link& opener, mews::Link& acceptor) {
  auto here = must(opener.open("open", {.type = kStreamType}, kPatience));
  auto request = must(acceptor.accept(kPatience));
  auto there = must(request.accept_stream());
  must(here.wait_accepted(kPatience));
  return {std::move(here), std::move(there)};
}
[[nodiscard]] inline Streams open_stream(LinkPair& pair) {
  return open_stream(pair.here(), pair.there());
}

/// Ends it in good order, and drops both ends.
inline void end_stream(Streams streams) {
  must(streams.here.finish());
  must(streams.there.finish());
  must(streams.here.wait_over(kPatience));
  must(streams.there.wait_over(kPatience));
}

/// Waits until neither link has an open call and the arena no slab in use.
[[nodiscard]] inline bool are_streams_back(LinkPair& pair) {
  return eventually([&pair] {
    (void)pair.there().dispatch();
    (void)pair.here().dispatch();
    return pair.here().open_calls() == 0 && pair.there().open_calls() == 0 &&
           pair.host().stats().is_all_free();
  });
}

/// Receives until the end of the stream; the texts of its pieces, and the error if there is one.
[[nodiscard]] inline std::vector<std::string> texts_of(mews::Stream& stream) {
  std::vector<std::string> texts;
  for (;;) {
    const auto piece = stream.receive(kPatience);
    if (!piece) {
      texts.push_back(outcome(piece));
      return texts;
    }
    if (piece->size() == 0) return texts;
    texts.emplace_back(piece->text());
  }
}

/// Sends pieces 0 to `count` - 1 of the stream `salt`, and the end; what went wrong, or nothing.
[[nodiscard]] inline std::string send_pieces(mews::Stream& stream, std::uint64_t count,
                                             std::uint64_t salt) {
  for (std::uint64_t i = 0; i < count; ++i) {
    auto loan = stream.loan(1 + mixed_size(salt + i), kPatience);
    if (!loan) return "loan: " + loan.error().message();
    fill(loan->bytes(), salt + i);
    if (auto sent = stream.send(std::move(*loan), kPatience); !sent) return sent.error().message();
  }
  const auto finished = stream.finish();
  return finished ? std::string() : finished.error().message();
}
/// Receives the same, and the end; what is wrong, or nothing.
[[nodiscard]] inline std::string receive_pieces(mews::Stream& stream, std::uint64_t count,
                                                std::uint64_t salt) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto piece = stream.receive(kPatience);
    if (!piece) return piece.error().message();
    if (piece->size() != 1 + mixed_size(salt + i) || !is_filled(piece->bytes(), salt + i)) {
      return "piece " + std::to_string(i) + " is another one";
    }
  }
  const auto last = stream.receive(kPatience);
  if (!last) return last.error().message();
  return last->size() == 0 ? "" : "a piece too many";
}

}  // namespace process_test
