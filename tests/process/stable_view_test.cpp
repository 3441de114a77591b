// SPDX-License-Identifier: MIT
#include <sys/wait.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "../support/failing_new.hpp"
#include "mews/base/block_cache.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

static_assert(sizeof(mews::Loan) <= 64 && sizeof(mews::Message) <= 80, "cheap to move");

/// Both ends of a channel within this process.
struct Pair {
  explicit Pair(mews::CreateOptions options = small_arena())
      : host(must(mews::Session::create(std::move(options)))), ends(must(host.connect("guest"))) {}
  [[nodiscard]] mews::Channel& here() noexcept { return ends.first.channel(); }
  [[nodiscard]] mews::Channel& there() noexcept { return ends.second.channel(); }
  [[nodiscard]] mews::Message deliver(std::size_t bytes, std::uint64_t seed) {
    auto loan = must(here().loan(bytes));
    fill(loan.bytes(), seed);
    must(here().send(std::move(loan)));
    return must(there().receive(kPatience));
  }
  mews::Session host;
  std::pair<mews::Plugin, mews::Session> ends;
};

/// So that the next one must come from `operator new`.
struct HeldBlocks {
  HeldBlocks() {
    blocks.reserve(mews::base::kKeptBlocks + 1);
    while (mews::base::blocks_kept() > 0)
      blocks.push_back(mews::base::get_block());
  }
  HeldBlocks(const HeldBlocks&) = delete;
  HeldBlocks& operator=(const HeldBlocks&) = delete;
  ~HeldBlocks() {
    for (auto* const block : blocks)
      mews::base::put_block(block);
  }
  std::vector<std::byte*> blocks;
};

constexpr std::size_t kSizes[] = {0, 1, 64, 479, 480, 481, 5000};

}  // namespace

TEST_CASE("view: a message's bytes stay valid where they are when the message is moved") {
  Pair pair;
  for (const auto bytes : kSizes) {
    INFO(bytes << " bytes");
    auto first = pair.deliver(bytes, bytes);
    const auto view = std::as_const(first).bytes();
    std::vector<mews::Message> queue;
    queue.push_back(std::move(first));
    queue.reserve(queue.capacity() + 1);  // moves it once more
    CHECK(queue[0].bytes().data() == view.data());
    CHECK(is_filled(view, bytes));
    mews::Message last;
    last = std::move(queue[0]);
    const auto other = pair.deliver(bytes, bytes + 1);
    CHECK(is_filled(view, bytes));
    CHECK(last.bytes().data() == view.data());
    const auto loan = std::move(last).into_loan();
    CHECK(loan.bytes().data() == view.data());
    CHECK(is_filled(view, bytes));
  }
}

TEST_CASE("view: a loan's bytes stay valid where they are when the loan is moved") {
  Pair pair;
  for (const auto bytes : kSizes) {
    INFO(bytes << " bytes");
    auto loan = must(pair.here().loan(bytes));
    const auto view = loan.bytes();
    auto moved = std::move(loan);
    fill(view, bytes);
    std::vector<mews::Loan> loans;
    loans.push_back(std::move(moved));
    CHECK(loans[0].bytes().data() == view.data());
    CHECK_FALSE(loan.is_valid());  // NOLINT(bugprone-use-after-move)
    CHECK(loan.size() == 0);
    must(pair.here().send(std::move(loans[0])));
    CHECK_FALSE(loans[0].is_valid());
    CHECK(is_filled(must(pair.there().receive(kPatience)).bytes(), bytes));
  }
}

TEST_CASE("view: messages that other threads drop, and that outlive their session, stay whole") {
  std::vector<mews::Message> messages;
  {
    Pair pair;
    for (std::size_t i = 0; i < 40; ++i)
      messages.push_back(pair.deliver(i * 12, i));
  }
  bool is_right = true;
  std::thread([&] {
    for (std::size_t i = 0; i < 40; ++i)
      is_right = is_right && is_filled(messages[i].bytes(), i);
    messages.clear();
  }).join();
  CHECK(is_right);
}

TEST_CASE("view: a forked child reads and drops a small message of its parent's") {
  Pair pair;
  auto message = pair.deliver(100, 7);
  const auto child = ::fork();
  if (child == 0) {
    bool is_right = is_filled(message.bytes(), 7);
    auto moved = std::move(message);
    is_right = is_right && is_filled(moved.bytes(), 7);
    { const auto dropped = std::move(moved); }
    ::_exit(is_right ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(is_filled(message.bytes(), 7));
}

/// The call's result while there is no memory for a block: neither for its first attempt nor for
/// the second, which a call makes before it gives up.
template <class Call>
auto without_memory(Call&& call) {
  const mews_test::FailingNew failing(1, 2);
  return call();
}

TEST_CASE("memory: a small loan without memory is out_of_memory, and the next one is had") {
  if (!mews_test::kHasFailingNew) SKIP("needs an operator new that can fail");
  Pair pair;
  const HeldBlocks held;
  const auto loan = [&] { return pair.here().try_loan(64); };
  CHECK(outcome(without_memory(loan)) == "out_of_memory");
  CHECK(outcome(loan()) == "ok");
}

TEST_CASE("memory: a small message that finds no memory stays in the lane") {
  if (!mews_test::kHasFailingNew) SKIP("needs an operator new that can fail");
  Pair pair;
  for (const std::uint64_t seed : {1u, 2u}) {
    std::vector<std::byte> bytes(300);
    fill(bytes, seed);
    must(pair.here().send(bytes));
  }
  const HeldBlocks held;
  const auto receive = [&] { return pair.there().receive(kPatience); };
  CHECK(outcome(without_memory(receive)) == "out_of_memory");
  CHECK(is_filled(must(receive()).bytes(), 1));
  CHECK(is_filled(must(receive()).bytes(), 2));
}
