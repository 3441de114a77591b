// SPDX-License-Identifier: MIT
#include "mews/base/function_ref.hpp"

#include <functional>
#include <memory>
#include <string>

#include "../support/catch.hpp"

namespace {

using Visit = mews::base::FunctionRef<int(const std::string&)>;

int call(Visit visit) {
  return visit("four");
}
int length(const std::string& text) {
  return static_cast<int>(text.size());
}

struct OnConst {
  int operator()(const std::string&) const { return 1; }
  int operator()(const std::string&) { return 2; }
};

static_assert(!std::is_constructible_v<Visit, int>);
static_assert(!std::is_constructible_v<Visit, int (*)(int*)>);
static_assert(std::is_trivially_copyable_v<Visit>);

}  // namespace

TEST_CASE("function_ref: calls functions, pointers to them, lambdas and std::function") {
  CHECK(call(length) == 4);
  CHECK(call(&length) == 4);
  CHECK(call([](const std::string& text) { return static_cast<int>(text.size()) + 1; }) == 5);
  const std::function<int(const std::string&)> function = length;
  CHECK(call(function) == 4);
}

TEST_CASE("function_ref: calls the object itself: mutable, move-only, const where it is const") {
  int calls = 0;
  auto counting = [&calls, own = std::make_unique<int>(7)](const std::string&) mutable {
    ++calls;
    return ++*own;
  };
  CHECK(call(counting) == 8);
  CHECK(call(counting) == 9);
  CHECK(calls == 2);
  OnConst object;
  const OnConst constant;
  CHECK(call(object) == 2);
  CHECK(call(constant) == 1);
}

TEST_CASE("function_ref: a result that nobody asked for is dropped") {
  int calls = 0;
  const auto add = [&calls](int more) { return calls += more; };
  const mews::base::FunctionRef<void(int)> drops = add;
  drops(3);
  CHECK(calls == 3);
}
