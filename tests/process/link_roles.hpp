// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "roles.hpp"

/// What the plugins of the link's tests do with each type of request, in a thread here or in a
/// process of their own.
namespace process_test {

enum LinkType : std::uint32_t {
  kEcho = 1,     ///< sends a copy back
  kForwardBack,  ///< sends the same memory back
  kFailIt,       ///< fails with the request's text
  kDrop,         ///< drops the request
  kSleepEcho,    ///< "MILLISECONDS": sends that back, later
  kHang,         ///< answers nothing until the call is cancelled
  kDie,          ///< kills its process
  kCallBack,     ///< calls the host's kEcho with the same bytes, and sends its answer back
  kDieFirst,     ///< "PATH": kills its process unless there is that file, which it makes; echoes
  kIgnore,       ///< never answers, cancelled or not
  kMore,         ///< "BYTES": sends so many back, filled with seed 7
  // Of streams.
  kStreamEcho,  ///< sends each piece back, and the end
  kStreamDie,   ///< "COUNT": sends so many pieces, numbered, then kills its process
  kStreamHang,  ///< receives nothing, until the stream ends
};

inline const std::vector<mews::TypeName> kLinkTypes{
    {kEcho, "echo"}, {kFailIt, "fail"}, {kDrop, "drop"}, {kSleepEcho, "sleep"},
    {kHang, "hang"}, {kDie, "die"},     {kMore, "more"}, {kCallBack, "call back"}};

/// Serves one stream; its errors are the opener's to find.
inline void serve_stream(mews::Request& request) {
  const std::string text(request.text());
  auto stream = request.accept_stream();
  if (!stream) return;
  switch (request.type()) {
    case kStreamEcho:
      while (auto piece = stream->receive(mews::forever)) {
        if (piece->size() == 0) {
          (void)stream->finish();
          break;
        }
        if (!stream->send(std::move(*piece).into_loan(), mews::forever)) break;
      }
      (void)stream->wait_over(mews::forever);
      return;
    case kStreamDie:
      for (int i = 0; i < std::stoi(text); ++i)
        (void)stream->send(std::to_string(i), mews::forever);
      ::raise(SIGKILL);
      return;
    default:  // kStreamHang
      (void)stream->wait_over(mews::forever);
      return;
  }
}

/// Answers one request; errors of the answer are the caller's to find.
inline void answer(mews::Request& request) {
  switch (request.type()) {
    case kEcho:
      (void)request.reply(request.bytes(), request.type());
      return;
    case kForwardBack:
      (void)request.reply(request.into_loan());
      return;
    case kFailIt:
      (void)request.fail(request.text());
      return;
    case kSleepEcho:
      std::this_thread::sleep_for(
          std::chrono::milliseconds(std::stoi(std::string(request.text()))));
      (void)request.reply(request.bytes());
      return;
    case kHang:
      while (!request.is_cancelled())
        std::this_thread::sleep_for(1ms);
      return;
    case kDie:
      ::raise(SIGKILL);
      return;
    case kDieFirst: {
      const std::string path(request.text());
      if (::access(path.c_str(), F_OK) != 0) {
        std::ofstream(path) << "died";
        ::raise(SIGKILL);
      }
      (void)request.reply(request.bytes());
      return;
    }
    case kIgnore:
      for (;;)
        ::pause();
    case kCallBack: {
      auto link = request.link();
      auto reply = link->call(request.bytes(), {.type = kEcho});
      if (reply) {
        (void)request.reply(std::move(*reply).into_loan());
      } else {
        (void)request.fail(reply.error());
      }
      return;
    }
    case kMore: {
      auto loan = request.loan(std::stoull(std::string(request.text())));
      if (!loan) {
        (void)request.fail(loan.error());
        return;
      }
      fill(loan->bytes(), 7);
      (void)request.reply(std::move(*loan));
      return;
    }
    case kStreamEcho:
    case kStreamDie:
    case kStreamHang:
      serve_stream(request);
      return;
    default:  // kDrop
      return;
  }
}

[[nodiscard]] inline int serve_link(mews::Link link, unsigned threads) {
  std::vector<std::thread> more;
  mews::Result<void> served;
  for (unsigned i = 1; i < threads; ++i) {
    more.emplace_back([link]() mutable { (void)link.serve(answer, mews::forever); });
  }
  served = link.serve(answer, mews::forever);
  for (auto& thread : more)
    thread.join();
  return served ? 0 : exit_code(served.error());
}

}  // namespace process_test
