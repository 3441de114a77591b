// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "crash/actor.hpp"
#include "crash/link_scenarios.hpp"
#include "crash/payload.hpp"

/// What a plugin does with streams while it is to be killed. The host's part in each is in
/// stream_crash_test.cpp. In the log `begun` counts the streams that it has accepted, `sent` and
/// `received` the pieces of all of them.
namespace mews_test::plugin {

/// What is to become of a stream.
enum StreamType : std::uint32_t { kEchoAll = 1, kEchoOne, kRefuseIt, kFinishFirst };

/// The sizes of pieces: in the lane, copied to a slab, in slabs, in a run.
[[nodiscard]] inline std::vector<std::byte> piece(std::size_t number) {
  constexpr std::array sizes{std::size_t{28}, std::size_t{300}, kSmall, kRun};
  std::vector<std::byte> payload(sizes[number % sizes.size()]);
  fill(payload, number);
  return payload;
}

/// Sends back what comes, in the memory in which it came. Returns false when something went wrong.
inline bool echo_one(Actor& actor, mews::Stream& stream, mews::Message piece) {
  actor.log().received.fetch_add(1);
  auto sent = stream.send(std::move(piece).into_loan(), mews::forever);
  if (!sent) {
    complain(actor.log(), "send: " + sent.error().message());
    return false;
  }
  actor.log().sent.fetch_add(1);
  return true;
}

inline void serve_stream(Actor& actor, mews::Request& request) {
  if (request.type() == kRefuseIt) {
    (void)request.fail("refused");
    return;
  }
  auto stream = request.accept_stream();
  if (!stream) return complain(actor.log(), "accept_stream: " + stream.error().message());
  actor.log().begun.fetch_add(1);
  if (request.type() == kFinishFirst) (void)stream->finish();
  for (;;) {
    auto piece = stream->receive(mews::forever);
    if (!piece) {
      if (piece.error().code() == mews::ErrorCode::reset) return;
      return complain(actor.log(), "receive: " + piece.error().message());
    }
    if (piece->size() == 0) break;
    if (request.type() == kFinishFirst) continue;
    if (!echo_one(actor, *stream, std::move(*piece))) return;
    if (request.type() == kEchoOne) return;
  }
  (void)stream->finish();
}

/// Until the host's end has gone.
inline void serve_streams(Actor& actor) {
  auto link = link_of(actor);
  if (!link) return;
  for (;;) {
    auto request = link->accept(mews::forever);
    if (!request) {
      if (request.error().code() == mews::ErrorCode::closed) return;
      return complain(actor.log(), "accept: " + request.error().message());
    }
    serve_stream(actor, *request);
  }
}

/// Opens two streams to the host, which sends back what comes, and one that it drops.
inline void open_streams(Actor& actor) {
  auto link = link_of(actor);
  if (!link) return;
  auto& log = actor.log();
  for (std::size_t round = 0; round < 3; ++round) {
    auto stream = link->open("s", {.type = kEchoAll}, mews::forever);
    if (!stream) return complain(log, "open: " + stream.error().message());
    for (std::size_t i = 0; i < 2; ++i) {
      const auto payload = piece(i);
      auto loan = stream->loan(payload.size(), mews::forever);
      if (!loan) return complain(log, "loan: " + loan.error().message());
      std::copy(payload.begin(), payload.end(), loan->bytes().begin());
      if (auto sent = stream->send(std::move(*loan), mews::forever); !sent) {
        return complain(log, "send: " + sent.error().message());
      }
      log.sent.fetch_add(1);
    }
    if (round == 1) continue;
    (void)stream->finish();
    for (std::size_t i = 0;; ++i) {
      const auto back = stream->receive(mews::forever);
      if (!back) return complain(log, "receive: " + back.error().message());
      if (back->size() == 0) break;
      if (fault_of(back->bytes(), i)) complain(log, "another piece");
      log.received.fetch_add(1);
    }
    if (auto over = stream->wait_over(mews::forever); !over) {
      complain(log, "over: " + over.error().message());
    }
  }
}

}  // namespace mews_test::plugin
