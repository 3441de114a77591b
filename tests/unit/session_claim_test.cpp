// SPDX-License-Identifier: MIT
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "../support/arena_fixture.hpp"
#include "../support/catch.hpp"
#include "mews/detail/peer_context.hpp"

namespace {

using mews::Deadline;
using mews::PeerId;
using mews::Result;
using mews::detail::PeerContext;
using mews::mem::Slab;
using mews::mem::SlabPool;
using namespace mews_test;

constexpr std::chrono::seconds kPatience{20};
constexpr std::uint64_t kBytes = std::uint64_t{4} << 20;

/// One session, and a peer whose pool has all slabs of the largest class and rings no bells.
struct Scene {
  std::shared_ptr<const mews::mem::Arena> arena =
      std::make_shared<const mews::mem::Arena>(make_arena());
  std::shared_ptr<PeerContext> session = PeerContext::make(arena, PeerId{1}, {});
  SlabPool other{*arena, PeerId{2}};
  std::vector<Slab> held;

  Scene() {
    while (const auto slab = claim_one(other, k4MiB))
      held.push_back(*slab);
  }
  [[nodiscard]] auto& bell() const { return arena->pool().freed_bell[k4MiB.value()]; }
  [[nodiscard]] std::uint32_t await_armed() const {
    for (;;) {
      const auto seen = bell().load(std::memory_order_acquire);
      if ((seen & 3) != 0) return seen;
      std::this_thread::yield();
    }
  }
};

/// A claim that blocks without a deadline, in a thread of its own.
class Waiter {
 public:
  explicit Waiter(PeerContext& session) : session_(session) {
    thread_ = std::thread([this] {
      claimed_ = session_.claim(slab_, kBytes, Deadline(mews::forever));
      is_over_.store(true, std::memory_order_release);
    });
  }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;
  ~Waiter() { finish(); }

  [[nodiscard]] const Slab& slab() {
    finish();
    REQUIRE(claimed_);
    return slab_;
  }

 private:
  void finish() {
    if (!thread_.joinable()) return;
    const Deadline patience = kPatience;
    while (!is_over_.load(std::memory_order_acquire) && !patience.has_passed())
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    session_.end(mews::ErrorCode::closed);
    thread_.join();
  }

  PeerContext& session_;
  Slab slab_;
  Result<void> claimed_;
  std::atomic<bool> is_over_{false};
  std::thread thread_;
};

}  // namespace

TEST_CASE("session claim: a ringer that is stopped before it wakes keeps nobody waiting") {
  Scene scene;
  Waiter waiter(*scene.session);
  // What a ringer does before it wakes; the next one finds a bell that nobody has armed.
  auto seen = scene.await_armed();
  while (!scene.bell().compare_exchange_strong(seen, (seen & ~3U) + 4, std::memory_order_relaxed,
                                               std::memory_order_relaxed)) {
  }
  REQUIRE(scene.other.release(scene.held[5]));
  CHECK(waiter.slab().first == scene.held[5].first);
}

TEST_CASE(
    "session claim: each slab that a call of the session's pool frees wakes a waiter for it") {
  Scene scene;
  // A run of the session's own, of which a shorter payload needs less.
  for (const std::size_t i : {2U, 3U, 4U})
    REQUIRE(scene.other.release(scene.held[i]));
  auto run = try_claim(scene.session->pool(), 3 * kBytes).value();
  Waiter waiter(*scene.session);
  (void)scene.await_armed();
  CHECK(scene.session->pool().shrink(run, 2 * kBytes));
  CHECK(waiter.slab().first.value() == 4);
}
