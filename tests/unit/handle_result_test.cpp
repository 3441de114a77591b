// SPDX-License-Identifier: MIT
#include <memory>
#include <utility>

#include "../support/catch.hpp"
#include "mews/mews.hpp"

namespace {

using mews::Channel;
using mews::Error;
using mews::ErrorCode;
using mews::HandleResult;
using mews::Plugin;
using mews::Result;
using mews::Session;

template <class T>
concept HasArrow = requires(T&& t) {
  std::forward<T>(t).operator->();
};
template <class T>
concept HasChannel = requires(T&& t) {
  std::forward<T>(t).channel();
};

// What dangles does not compile: host.spawn(..)->channel(), std::move(*plugin).channel().
static_assert(!HasArrow<HandleResult<Plugin>> && !HasArrow<const HandleResult<Session>>);
static_assert(HasArrow<HandleResult<Plugin>&> && HasArrow<const HandleResult<Session>&>);
static_assert(!HasChannel<Plugin> && !HasChannel<Session>);
static_assert(HasChannel<Plugin&> && HasChannel<Session&>);
using Connected = decltype(std::declval<Session&>().connect("name"));
static_assert(!HasArrow<Connected> && HasArrow<Connected&>);
static_assert(!HasArrow<decltype(std::declval<Session&>().spawn("name", {}))>);
static_assert(!HasArrow<decltype(std::declval<Session&>().admit(mews::forever))>);
static_assert(!HasArrow<decltype(Session::create())>);
static_assert(!HasArrow<decltype(Session::attach())>);

HandleResult<std::unique_ptr<int>> make(int value) {
  if (value < 0) return mews::fail(ErrorCode::closed, "below zero");
  return std::make_unique<int>(value);
}

template <class T>
T unpacked(Result<T> result) {
  return std::move(*result);
}

}  // namespace

TEST_CASE("handle result: a value moves out of it in every way that a result has") {
  auto made = make(5);
  REQUIRE(made);
  CHECK(*made->get() == 5);
  CHECK(**std::as_const(made) == 5);
  const auto moved = std::move(*made);
  CHECK(*moved == 5);
  CHECK(*make(6).value() == 6);
  CHECK(**make(7) == 7);
}

TEST_CASE("handle result: it becomes a result of the same, also where that is to be deduced") {
  Result<std::unique_ptr<int>> plain = make(8);
  CHECK(**plain == 8);
  CHECK(*unpacked(make(9)) == 9);
  plain = make(10);
  CHECK(**plain == 10);
  const HandleResult<std::unique_ptr<int>> back = std::move(plain);
  CHECK(**back == 10);
}

TEST_CASE("handle result: an error goes through it, and on in a result of something else") {
  auto failed = make(-1);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code() == ErrorCode::closed);
  const Result<int> other = tl::unexpected(std::move(failed.error()));
  CHECK(other.error().detail() == "below zero");
  failed = make(1);
  CHECK(**failed == 1);
}
