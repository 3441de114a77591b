// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <thread>

#include "link_core.hpp"
#include "mews/os/membarrier.hpp"
#include "texts.hpp"

// What a link sends: records by any number of threads in turn, and payloads copied into slabs.
namespace mews::inline MEWS_LAYOUT::detail {

using layout::RecordKind;

Result<void> LinkCore::send(RecordKind kind, const Body& body, const layout::CallId& id,
                            std::uint32_t type) {
  const Envelope envelope{.type = type, .correlation = id.pack()};
  const auto send_once = [&] {
    return body.loan() != nullptr ? channel_->send_record(kind, *body.loan(), envelope)
                                  : channel_->send_record(kind, body.bytes(), envelope);
  };
  const auto has_met = [](const Result<void>& sent) {
    return !sent && sent.error().code() == ErrorCode::concurrent_use;
  };
  // Relaxed: a note. A thread that sends alone need not take turns.
  if (!has_many_senders_.load(std::memory_order_relaxed)) {
    auto sent = send_once();
    if (!has_met(sent)) return sent;
    has_many_senders_.store(true, std::memory_order_relaxed);
  }
  // Nobody waits in a turn.
  (void)send_turn_.enter(forever, [] { return false; });
  auto sent = send_once();
  // By a thread that has begun before it could know of the others.
  // (Without membarrier the role stays with its thread.)
  while (has_met(sent) && !os::is_light_fence_broken()) {
    std::this_thread::sleep_for(std::chrono::microseconds(20));
    sent = send_once();
  }
  send_turn_.leave();
  if (has_met(sent)) return fail(ErrorCode::os_error, kFenceForbidden);
  return sent;
}

Result<Loan> LinkCore::loan_of(std::span<const std::byte> bytes, mem::Purpose purpose,
                               Timeout timeout) {
  Result<Loan> loan;
  if (purpose == mem::Purpose::reply) {
    channel_->loan_for_reply(loan, bytes.size(), timeout);
  } else {
    channel_->loan(loan, bytes.size(), timeout);
  }
  if (loan) std::copy(bytes.begin(), bytes.end(), loan->bytes().begin());
  return loan;
}

}  // namespace mews::inline MEWS_LAYOUT::detail
