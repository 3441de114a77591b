// SPDX-License-Identifier: MIT
#include "support/link_cases.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include "mews/mews.hpp"
#include "support/channel_cases.hpp"
#include "support/session_pair.hpp"

namespace mews::bench {
namespace {

/// A link over the channel of a pair, made at its first use: each end in its own process.
class LinkEnds {
 public:
  explicit LinkEnds(std::chrono::nanoseconds spin_limit) : pair_(spin_limit) {}

  [[nodiscard]] Link& host() {
    if (!link_) link_.emplace(must(Link::over(std::move(pair_.host_channel()))));
    return *link_;
  }
  [[nodiscard]] Link& plugin() {
    if (!link_) link_.emplace(must(Link::over(std::move(pair_.plugin_channel()))));
    return *link_;
  }

 private:
  SessionPair pair_;
  std::optional<Link> link_;
};

/// Answers a call for each operation with its own bytes.
Body answerer(std::shared_ptr<LinkEnds> ends) {
  return [ends = std::move(ends), seed = std::uint64_t{0}](const Batch& batch) mutable {
    auto& link = ends->plugin();
    repeat(batch, [&] {
      auto request = link.accept(forever);
      must_succeed(request);
      check_all(request->bytes(), ++seed);
      must_succeed(request->reply(request->bytes()));
    });
  };
}

}  // namespace

CasePtr call_round_trip(std::size_t bytes, std::chrono::nanoseconds spin_limit) {
  auto ends = std::make_shared<LinkEnds>(spin_limit);
  const bool are_asleep = spin_limit == kSleep;
  const auto here = [=, payload = std::vector<std::byte>(bytes),
                     seed = std::uint64_t{0}](const Batch& batch) mutable {
    auto& link = ends->host();
    const auto exchange = [&] {
      write_all(payload, ++seed);
      const auto reply = link.call(payload, {}, forever);
      must_succeed(reply);
      require(reply->size() == bytes, "a reply of another size arrived");
      check_all(reply->bytes(), seed);
    };
    are_asleep ? repeat_rested(batch, exchange) : repeat(batch, exchange);
  };
  return are_asleep ? rested_pair_case(here, answerer(ends)) : pair_case(here, answerer(ends));
}

CasePtr calls_in_flight(std::size_t bytes, unsigned in_flight) {
  auto ends = std::make_shared<LinkEnds>(kSpin);
  const auto here = [=, payload = std::vector<std::byte>(bytes), begun = std::uint64_t{0},
                     ended = std::uint64_t{0}](const Batch& batch) mutable {
    auto& link = ends->host();
    std::deque<PendingReply> open;
    const auto end_oldest = [&] {
      const auto reply = open.front().get();
      must_succeed(reply);
      check_all(reply->bytes(), ++ended);
      open.pop_front();
    };
    repeat(batch, [&] {
      if (open.size() == in_flight) end_oldest();
      write_all(payload, ++begun);
      open.push_back(must(link.start(payload, {}, forever)));
    });
    while (!open.empty())
      end_oldest();
  };
  return pair_case(here, answerer(ends));
}

CasePtr link_stream(std::size_t bytes, Touch touch) {
  auto ends = std::make_shared<LinkEnds>(kSpin);
  const auto here = [=, stream = std::make_shared<std::optional<Stream>>(),
                     seed = std::uint64_t{0}](const Batch& batch) mutable {
    if (!*stream) stream->emplace(must(ends->host().open("", {}, forever)));
    repeat(batch, [&] {
      auto loan = (*stream)->loan(bytes, forever);
      must_succeed(loan);
      write(touch, loan->bytes(), ++seed);
      must_succeed((*stream)->send(std::move(*loan), forever));
    });
  };
  const auto there = [=, stream = std::make_shared<std::optional<Stream>>(),
                      seed = std::uint64_t{0}](const Batch& batch) mutable {
    if (!*stream) stream->emplace(must(must(ends->plugin().accept(forever)).accept_stream()));
    repeat(batch, [&] {
      const auto piece = (*stream)->receive(forever);
      must_succeed(piece);
      require(piece->size() == bytes, "a piece of another size arrived");
      check(touch, piece->bytes(), ++seed);
    });
  };
  return pair_case(here, there);
}

}  // namespace mews::bench
