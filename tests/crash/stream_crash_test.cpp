// SPDX-License-Identifier: MIT
#include "crash/link_death.hpp"
#include "crash/stream_scenarios.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"

// A plugin is killed before the k-th change that others can see while it serves streams, or opens
// them. What it had sent is received, in order, then comes its death; and no slab is lost.
namespace {

using namespace mews_test;
using plugin::StreamType;

/// Room for three streams at once.
constexpr std::uint32_t kStreamCells = 512;

struct HostStreams {
  mews::Link link;
  VictimLog& log;
  std::string problem{};
  std::uint64_t received = 0;
  bool is_dead = false;

  void add_problem(const std::string& text) {
    if (problem.empty()) problem = text;
  }
  void judge(const std::string& what, const mews::Error& why, StreamType type) {
    if (why.code() == mews::ErrorCode::peer_died) {
      is_dead = true;
      if (received < log.sent.load()) add_problem(what + ": what was sent is lost");
      return;
    }
    if (type == plugin::kEchoOne && why.code() == mews::ErrorCode::reset) return;
    if (type == plugin::kRefuseIt && why.code() == mews::ErrorCode::failed) return;
    add_problem(what + ": " + why.message());
  }

  /// Receives until the end of the stream; each piece is to be the one that was sent.
  void receive_all(mews::Stream& stream, StreamType type) {
    for (std::size_t i = 0;; ++i) {
      const auto back = stream.receive(kStuck);
      if (!back) return judge("receive", back.error(), type);
      if (back->size() == 0) return;
      ++received;
      if (back->size() != plugin::piece(i).size() || fault_of(back->bytes(), i)) {
        return add_problem("another piece");
      }
    }
  }

  void talk(StreamType type) {
    auto stream = link.open("s", {.type = type}, kStuck);
    if (!stream) return judge("open", stream.error(), type);
    // More than the other end may have unread, but it reads.
    for (std::size_t i = 0; i < 5; ++i) {
      // What ends the stream is judged behind the pieces that had come back.
      const auto sent = stream->send(plugin::piece(i), kStuck);
      if (sent) continue;
      if (sent.error().code() == mews::ErrorCode::timed_out) add_problem(sent.error().message());
      break;
    }
    (void)stream->finish();
    receive_all(*stream, type);
    if (is_dead || type == plugin::kEchoOne || type == plugin::kRefuseIt) return;
    if (const auto over = stream->wait_over(kStuck); !over) judge("over", over.error(), type);
  }

  void talk_all() {
    using namespace plugin;
    for (const auto type : {kEchoAll, kEchoOne, kRefuseIt, kFinishFirst, kEchoAll})
      if (!is_dead) talk(type);
  }

  /// Sends back what comes in the streams of the plugin, until it is gone.
  void serve() {
    for (;;) {
      auto request = link.accept(kStuck);
      if (!request) {
        if (request.error().code() == mews::ErrorCode::timed_out) add_problem("nothing came");
        return;
      }
      auto stream = request->accept_stream();
      if (!stream) continue;
      for (std::size_t i = 0;; ++i) {
        auto piece = stream->receive(kStuck);
        if (!piece) {
          if (piece.error().code() == mews::ErrorCode::timed_out) add_problem("no piece came");
          break;
        }
        if (piece->size() == 0) break;
        ++received;
        if (fault_of(piece->bytes(), i)) add_problem("another piece");
        if (!stream->send(std::move(*piece).into_loan(), kStuck)) break;
      }
      (void)stream->finish();
    }
  }
};

}  // namespace

TEST_CASE("crash: a plugin may die at any step of serving streams") {
  every_death_of<HostStreams>("serve_streams", kStreamCells, 60,
                              [](HostStreams& streams) { streams.talk_all(); });
}
TEST_CASE("crash: a plugin may die at any step of opening streams, and dropping one") {
  every_death_of<HostStreams>("open_streams", kStreamCells, 40,
                              [](HostStreams& streams) { streams.serve(); });
}
