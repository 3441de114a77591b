// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstdint>

#include "../support/catch.hpp"
#include "mews/base/deadline.hpp"

using namespace std::chrono_literals;
using mews::Deadline;

TEST_CASE("deadline: a duration of zero or less has passed already") {
  for (const auto wait : {0ms, -1ms, -1000000ms}) {
    const Deadline deadline = wait;
    CHECK(deadline.has_passed());
    CHECK_FALSE(deadline.is_forever());
    CHECK(deadline.left() == Deadline::Clock::duration::zero());
  }
}

TEST_CASE("deadline: one that lies ahead has not passed and has time left") {
  const Deadline deadline = 24h;
  CHECK_FALSE(deadline.has_passed());
  CHECK_FALSE(deadline.is_forever());
  CHECK(deadline.left() > 0s);
  CHECK(deadline.left() <= 24h);
}

TEST_CASE("deadline: for ever never passes") {
  const Deadline deadline = mews::forever;
  CHECK(deadline.is_forever());
  CHECK_FALSE(deadline.has_passed());
  CHECK(deadline.left() == Deadline::Clock::duration::max());
  CHECK(deadline.at() == Deadline::Clock::time_point::max());
}

TEST_CASE("deadline: a wait beyond the clock's range is for ever") {
  CHECK(Deadline(Deadline::Clock::duration::max()).is_forever());
  CHECK(Deadline(std::chrono::nanoseconds::max() - 1h).is_forever());
  CHECK_FALSE(Deadline(std::chrono::hours(24 * 365)).is_forever());
}

TEST_CASE("deadline: a point in time is kept as it is") {
  const auto at = Deadline::Clock::now() + 5s;
  CHECK(Deadline(at).at() == at);
  const Deadline past = Deadline::Clock::now() - 1s;
  CHECK(past.has_passed());
  CHECK(past.left() == Deadline::Clock::duration::zero());
}

TEST_CASE("deadline: within a wait it is the earlier of the two") {
  const Deadline deadline = Deadline::Clock::now() + 24h;
  CHECK(deadline.within(48h).at() == deadline.at());
  CHECK(deadline.within(1h).at() < deadline.at());
  CHECK_FALSE(Deadline(mews::forever).within(1h).is_forever());
}
