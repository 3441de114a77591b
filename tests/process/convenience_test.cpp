// SPDX-License-Identifier: MIT
#include <array>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "mews/base/sanitizer.hpp"
#include "site.hpp"

using namespace process_test;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Point {
  std::int32_t x;
  double y;
  friend bool operator==(const Point&, const Point&) = default;
};
struct alignas(256) Wide {
  std::uint64_t number;
};
struct Counted {
  explicit Counted(int n) : number(2 * n) {}
  int number;
};

struct Pair {
  mews::Session host = must(mews::Session::create(small_arena()));
  std::pair<mews::Plugin, mews::Session> ends = must(host.connect("guest"));
  [[nodiscard]] mews::Channel& here() noexcept { return ends.first.channel(); }
  [[nodiscard]] mews::Channel& there() noexcept { return ends.second.channel(); }
  [[nodiscard]] std::string text() { return std::string(must(there().receive(kPatience)).text()); }
};

}  // namespace

TEST_CASE("text: literals, strings and views are sent without a zero at the end") {
  Pair pair;
  auto sender = pair.here().shared();
  const std::string text(1000, 'x');
  const std::string_view view = "a view";
  must(pair.here().send("literal"));
  must(pair.here().send(text, {.type = 3}));
  must(pair.here().send(view, {}, kPatience));
  must(pair.here().try_send(text.c_str()));
  must(sender.send("shared"));
  must(sender.send(view, {}, kPatience));
  must(sender.try_send(std::string()));
  CHECK(pair.text() == "literal");
  const auto second = must(pair.there().receive(kPatience));
  CHECK((second.text() == text && second.type() == 3));
  CHECK(pair.text() == "a view");
  CHECK(pair.text() == text);
  CHECK(pair.text() == "shared");
  CHECK(pair.text() == "a view");
  CHECK(pair.text().empty());
}

TEST_CASE("text: bytes in spans, vectors and arrays are sent as before") {
  Pair pair;
  std::vector<std::byte> vector(3, std::byte{1});
  const std::array<std::byte, 4> array{};
  must(pair.here().send(vector));
  must(pair.here().send(array, {.type = 1}));
  must(pair.here().send(std::span(vector), {}, kPatience));
  for (const std::size_t bytes : {3u, 4u, 3u})
    CHECK(must(pair.there().receive(kPatience)).size() == bytes);
}

TEST_CASE("value: what was sent as an object is received as one, small or in a slab") {
  Pair pair;
  auto loan = must(pair.here().loan(sizeof(Point)));
  auto* const point = must(loan.emplace<Point>(7, 0.5));
  point->x = 8;
  must(pair.here().send(std::move(loan)));
  CHECK(must(must(pair.there().receive(kPatience)).value<Point>()) == Point{8, 0.5});

  using Table = std::array<std::uint32_t, 1000>;
  auto large = must(pair.here().loan(sizeof(Table)));
  must(large.emplace<Table>())->back() = 9;
  must(pair.here().send(std::move(large)));
  const auto table = must(must(pair.there().receive(kPatience)).value<Table>());
  CHECK((table.front() == 0 && table.back() == 9));
}

TEST_CASE("value: a payload of another size is invalid_argument, and says both sizes") {
  Pair pair;
  for (const std::size_t bytes : {0u, 1u, 15u, 17u, 600u}) {
    must(pair.here().send(std::vector<std::byte>(bytes)));
    const auto value = must(pair.there().receive(kPatience)).value<Point>();
    REQUIRE(outcome(value) == "invalid_argument");
    CHECK_THAT(value.error().message(),
               ContainsSubstring("has " + std::to_string(bytes) + " bytes, the type 16"));
  }
  CHECK(outcome(mews::Message().value<Point>()) == "invalid_argument");
}

TEST_CASE("value: a message in a batch gives a copy, whatever the type's alignment") {
  Pair pair;
  auto loan = must(pair.here().loan(sizeof(Wide)));
  loan.bytes()[0] = std::byte{5};
  must(pair.here().send(std::move(loan)));
  must(pair.here().send("text"));
  std::vector<std::string> seen;
  const auto count = must(pair.there().receive_batch(
      [&](const mews::MessageView& view) {
        const auto wide = view.value<Wide>();
        seen.push_back(wide ? std::to_string(wide->number & 0xff) : std::string(view.text()));
      },
      8, kPatience));
  CHECK(count == 2);
  CHECK(seen == std::vector<std::string>{"5", "text"});
}

TEST_CASE("emplace: an object that does not fit into the loan, or not there, is refused") {
  Pair pair;
  auto loan = must(pair.here().loan(sizeof(Point) - 1));
  const auto too_long = loan.emplace<Point>(1, 2.0);
  REQUIRE(outcome(too_long) == "invalid_argument");
  CHECK_THAT(too_long.error().message(), ContainsSubstring("has 15 bytes, the type 16"));
  mews::Loan none;
  CHECK(outcome(none.emplace<char>()) == "invalid_argument");

  auto aligned = must(pair.here().loan(sizeof(Wide), alignof(Wide)));
  CHECK(must(aligned.emplace<Wide>(std::uint64_t{3}))->number == 3);
  int refused = 0;
  std::vector<mews::Loan> loans;
  for (int i = 0; i < 64 && refused == 0; ++i) {  // not each of so many blocks is aligned to 256
    loans.push_back(must(pair.here().loan(sizeof(Wide))));
    const bool is_aligned =
        reinterpret_cast<std::uintptr_t>(loans.back().bytes().data()) % alignof(Wide) == 0;
    const auto wide = loans.back().emplace<Wide>();
    CHECK(wide.has_value() == is_aligned);
    if (!wide) {
      ++refused;
      CHECK_THAT(wide.error().message(), ContainsSubstring("not aligned to 256"));
    }
  }
  CHECK((refused > 0 || mews::base::kIsAddressSanitized || mews::base::kIsThreadSanitized));
}

TEST_CASE("emplace: constructors are called with parentheses") {
  Pair pair;
  auto loan = must(pair.here().loan(sizeof(Counted)));
  CHECK(must(loan.emplace<Counted>(4))->number == 8);
}

TEST_CASE("batch: any callable visits: move-only, mutable, a function object by reference") {
  Pair pair;
  for (int i = 0; i < 3; ++i)
    must(pair.here().send("x"));
  auto total = std::make_unique<std::size_t>(0);
  auto visit = [own = std::move(total)](const mews::MessageView& view) mutable {
    return *own += view.bytes.size();
  };
  CHECK(must(pair.there().receive_batch(visit, 1)) == 1);
  CHECK(must(pair.there().receive_batch(visit, 1, kPatience)) == 1);
  CHECK(must(pair.there().try_receive_batch(std::move(visit), 1)) == 1);
}

TEST_CASE("shared sender: try_loan, try_send and try_send_batch do not wait for room or memory") {
  Pair pair;
  auto sender = pair.here().shared();
  std::vector<mews::Loan> loans;
  while (auto loan = sender.try_loan(65536))
    loans.push_back(std::move(*loan));
  CHECK(loans.size() == 8);
  CHECK(outcome(sender.try_loan(65536)) == "no_slab");
  CHECK(outcome(sender.try_send(std::vector<std::byte>(65536))) == "no_slab");
  CHECK(must(sender.try_send_batch(loans)) == 8);
  std::size_t sent = 0;
  while (sender.try_send("fill"))
    ++sent;
  CHECK(sent > 8);
  CHECK(outcome(sender.try_send("full")) == "would_block");
  auto last = must(sender.try_loan(8));
  CHECK(outcome(sender.try_send(std::move(last))) == "would_block");
  CHECK(last.is_valid());  // NOLINT(bugprone-use-after-move)
  CHECK(outcome(sender.try_send_batch(std::span(&last, 1))) == "would_block");
}

TEST_CASE("shared sender: a try_ call does not wait for its turn") {
  Pair pair;
  auto sender = pair.here().shared();
  while (sender.try_send("fill")) {
  }
  std::thread waiting([other = sender]() mutable {
    // Has its turn until there is room.
    static_cast<void>(other.send("late", {}, kPatience));
  });
  mews::Loan loan = must(sender.try_loan(1));
  // By an empty batch one sees whose turn it is: without room it would be 0 messages.
  CHECK(eventually([&] { return outcome(sender.try_send_batch({})) == "would_block"; }));
  CHECK(outcome(sender.try_send(std::move(loan))) == "would_block");
  CHECK(loan.is_valid());  // NOLINT(bugprone-use-after-move)
  CHECK(must(pair.there().receive(kPatience)).text() == "fill");
  std::string text;
  while (text != "late")
    text = pair.text();
  waiting.join();
}
