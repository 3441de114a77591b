// SPDX-License-Identifier: MIT
#include <chrono>
#include <cstdint>
#include <limits>
#include <ratio>

#include "../support/catch.hpp"
#include "mews/deadline.hpp"

using namespace std::chrono_literals;
using mews::Deadline;

namespace {

template <class Rep, class Period = std::ratio<1>>
using Duration = std::chrono::duration<Rep, Period>;

bool has_passed(const Deadline& deadline) {
  return deadline.has_passed() && !deadline.is_forever() &&
         deadline.left() == Deadline::Clock::duration::zero();
}

template <class Wait>
void check_ends_of() {
  CHECK(Deadline(Wait::max()).is_forever());
  CHECK(has_passed(Deadline(Wait::min())));
  CHECK(has_passed(Deadline(Wait::zero())));
}

}  // namespace

TEST_CASE("deadline: a duration of zero or less has passed already") {
  for (const auto wait : {0ms, -1ms, -1000000ms})
    CHECK(has_passed(wait));
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

TEST_CASE("deadline: a wait beyond the clock's range is for ever, one within it is not") {
  const auto range = Deadline::Clock::time_point::max() - Deadline::Clock::now();
  CHECK(Deadline(range).is_forever());
  CHECK(Deadline(range + 1us).is_forever());
  CHECK_FALSE(Deadline(range - 24h).is_forever());
  CHECK_FALSE(has_passed(range - 24h));
  CHECK_FALSE(Deadline(std::chrono::hours(24 * 365)).is_forever());
}

TEST_CASE("deadline: the longest and the shortest wait of every unit are for ever and over") {
  check_ends_of<std::chrono::nanoseconds>();
  check_ends_of<std::chrono::microseconds>();
  check_ends_of<std::chrono::milliseconds>();
  check_ends_of<std::chrono::seconds>();
  check_ends_of<std::chrono::minutes>();
  check_ends_of<std::chrono::hours>();
  check_ends_of<Duration<std::int64_t, std::ratio<31'556'952>>>();
  check_ends_of<Duration<std::int64_t, std::ratio<1, 3>>>();
  check_ends_of<Duration<std::uint64_t>>();
  check_ends_of<Duration<float>>();
  check_ends_of<Duration<double>>();
  check_ends_of<Duration<long double, std::nano>>();
  // Narrow ones end long before the clock does.
  CHECK_FALSE(Deadline(Duration<std::int32_t>::max()).is_forever());
  CHECK_FALSE(Deadline(Duration<std::int32_t>::max()).has_passed());
  CHECK(has_passed(Duration<std::int32_t>::min()));
}

TEST_CASE("deadline: a wait in fractions is kept; infinity is for ever, not a number is over") {
  using Seconds = Duration<double>;
  const auto before = Deadline::Clock::now();
  const Deadline soon(Seconds(86'400.25));
  const auto after = Deadline::Clock::now();
  CHECK(soon.at() - before >= 86'400'250ms);
  CHECK(soon.at() - after <= 86'400'250ms);
  CHECK(Deadline(Seconds(std::numeric_limits<double>::infinity())).is_forever());
  CHECK(has_passed(Seconds(-std::numeric_limits<double>::infinity())));
  CHECK(has_passed(Seconds(std::numeric_limits<double>::quiet_NaN())));
  CHECK(Deadline(Seconds(1e30)).is_forever());
  CHECK(has_passed(Seconds(-1e30)));
  CHECK_FALSE(Deadline(Seconds(1e8)).is_forever());
}

TEST_CASE("deadline: a point in time is kept as it is") {
  const auto at = Deadline::Clock::now() + 5s;
  CHECK(Deadline(at).at() == at);
  CHECK(has_passed(Deadline::Clock::now() - 1s));
  CHECK(has_passed(Deadline::Clock::time_point::min()));
}

TEST_CASE("deadline: within a wait it is the earlier of the two") {
  const Deadline deadline = Deadline::Clock::now() + 24h;
  CHECK(deadline.within(48h).at() == deadline.at());
  CHECK(deadline.within(1h).at() < deadline.at());
  CHECK_FALSE(Deadline(mews::forever).within(1h).is_forever());
}
