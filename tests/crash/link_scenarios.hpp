// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <string>
#include <utility>
#include <vector>

#include "crash/actor.hpp"
#include "crash/payload.hpp"
#include "crash/table.hpp"

/// What a plugin does with a link while it is to be killed. The host's part in each is in
/// link_crash_test.cpp. In the log `begun` counts the calls that it has accepted, `sent` those that
/// it has answered, `received` the replies to its own.
namespace mews_test::plugin {

/// What is asked for.
enum LinkRequest : std::uint32_t { kGiveBack = 1, kCopyBack, kRefuse, kDropIt, kAskBack };

/// The payloads of calls: in the lane, in a slab, in a run.
inline constexpr std::array kCallSizes{kInline, kSmall, kRun, std::size_t{480}};

[[nodiscard]] inline std::vector<std::byte> call_payload(std::size_t number) {
  std::vector<std::byte> payload(kCallSizes[number % kCallSizes.size()]);
  fill(payload, number);
  return payload;
}

[[nodiscard]] inline mews::Result<mews::Link> link_of(Actor& actor) {
  auto link = mews::Link::over(std::move(actor.channel()), {.credits = 2});
  if (!link) complain(actor.log(), "link: " + link.error().message());
  return link;
}

inline void call_host(Actor& actor, mews::Link& link, std::size_t number) {
  const auto payload = call_payload(number);
  const auto reply = link.call(payload, {.type = kCopyBack}, mews::forever);
  if (!reply) return complain(actor.log(), "call: " + reply.error().message());
  if (reply->size() != payload.size() || fault_of(reply->bytes(), number)) {
    complain(actor.log(), "another reply");
  }
  actor.log().received.fetch_add(1);
}

inline void answer_one(Actor& actor, mews::Request& request) {
  auto& log = actor.log();
  mews::Result<void> answered;
  switch (request.type()) {
    case kGiveBack:
      answered = request.reply(request.into_loan());
      break;
    case kCopyBack:
      answered = request.reply(request.bytes());
      break;
    case kAskBack: {
      auto link = request.link();
      if (!link) return complain(log, "link of a request: " + link.error().message());
      call_host(actor, *link, log.received.load());
      answered = request.reply();
      break;
    }
    case kRefuse:
      answered = request.fail("refused");
      break;
    default: {
      const auto dropped = std::move(request);
      break;
    }
  }
  if (!answered) complain(log, "answer: " + answered.error().message());
  log.sent.fetch_add(1);
}

/// Until the host's end has gone.
inline void answer_calls(Actor& actor) {
  auto link = link_of(actor);
  if (!link) return;
  for (;;) {
    auto request = link->accept(mews::forever);
    if (!request) {
      if (request.error().code() == mews::ErrorCode::closed) return;
      return complain(actor.log(), "accept: " + request.error().message());
    }
    actor.log().begun.fetch_add(1);
    answer_one(actor, *request);
  }
}

inline void make_calls(Actor& actor) {
  auto link = link_of(actor);
  if (!link) return;
  for (std::size_t i = 0; i < 4; ++i)
    call_host(actor, *link, i);
  // One is dropped, one is waited for after another.
  auto dropped = link->start(call_payload(4), {.type = kCopyBack}, mews::forever);
  if (!dropped) return complain(actor.log(), "start: " + dropped.error().message());
  auto kept = link->start(call_payload(5), {.type = kCopyBack}, mews::forever);
  if (!kept) return complain(actor.log(), "start: " + kept.error().message());
  dropped->cancel();
  call_host(actor, *link, 6);
  const auto reply = kept->get();
  if (!reply || fault_of(reply->bytes(), 5)) complain(actor.log(), "the kept reply is lost");
  actor.log().received.fetch_add(1);
}

}  // namespace mews_test::plugin
