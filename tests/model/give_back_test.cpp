// SPDX-License-Identifier: MIT
#include <array>
#include <functional>

#include "mews/mem/freed_listener.hpp"
#include "mews/sync/doorbell.hpp"
#include "model/support.hpp"
#include "model/tiny_arena.hpp"

namespace mews::model {
namespace {

constexpr std::uint64_t kRunBytes = 2 * 4096;

/// Rings the freed bell, as a session does.
class Ringer final : public mem::FreedListener {
 public:
  explicit Ringer(const TinyArena& tiny) : tiny_(tiny) {}
  void on_freed(ClassId) noexcept override {
    (void)sync::Doorbell(tiny_.arena().pool().freed_bell[0]).ring(sync::RingFence::full);
  }

 private:
  const TinyArena& tiny_;
};

/// Blocks until there are slabs for `bytes`.
[[nodiscard]] mem::Slab claim_blocking(TinyArena& tiny, mem::SlabPool& pool, std::uint64_t bytes) {
  const sync::Doorbell bell(tiny.arena().pool().freed_bell[0]);
  for (;;) {
    if (const auto slab = mews_test::try_claim(pool, bytes)) return *slab;
    const auto ticket = bell.arm(sync::Sleeper::futex, sync::ArmFence::heavy);
    if (const auto slab = mews_test::try_claim(pool, bytes)) return *slab;
    bell.sleep(ticket, forever);
  }
}

/// When the freed bell is rung: for all that the pools give back, or for what is released on
/// purpose alone.
enum class Rung : std::uint8_t { by_pools, by_releases };

/// Peers that wait for slabs.
class Waiting : public Scenario {
 public:
  void reset() override {
    tiny_.reset();
    for (int peer = 0; peer < kPeers; ++peer) {
      pools_[static_cast<std::size_t>(peer)].emplace(tiny_.arena(),
                                                     PeerId{static_cast<std::uint32_t>(peer)},
                                                     rung_ == Rung::by_pools ? &ringer_ : nullptr);
    }
  }
  void verify() override { tiny_.expect_whole(kHost); }

 protected:
  Waiting(std::uint32_t slabs, Rung rung)
      : rung_(rung), tiny_({.slabs = slabs, .chunk_slabs = 1}, words_) {}

  [[nodiscard]] mem::SlabPool& pool(int peer) { return *pools_[static_cast<std::size_t>(peer)]; }
  [[nodiscard]] mem::Slab wait(int peer, std::uint64_t bytes) {
    return claim_blocking(tiny_, pool(peer), bytes);
  }
  void give_back(int peer, const mem::Slab& slab) {
    expect(pool(peer).release(slab), "what was held could not be released");
    if (rung_ == Rung::by_releases) ringer_.on_freed(kClass);
  }
  void add(const char* name, int peer, std::function<void()> body) {
    threads_.push_back({.name = name, .process = peer, .body = std::move(body)});
  }

 private:
  const Rung rung_;
  TinyArena tiny_;
  Ringer ringer_{tiny_};
  std::array<std::optional<mem::SlabPool>, kPeers> pools_;
};

// Two wait for runs of two slabs out of three, and give back what they got.
class TwoRuns final : public Waiting {
 public:
  TwoRuns() : Waiting(3, Rung::by_pools) {
    add("host", kHost, [this] { give_back(kHost, wait(kHost, kRunBytes)); });
    add("plugin", kPlugin, [this] { give_back(kPlugin, wait(kPlugin, kRunBytes)); });
  }
};

// Two slabs, and two that wait for one each and keep it. The plugin tries for a run of both: if it
// takes the one in vain while the other is taken, the second may look and go to sleep meanwhile.
class InVain final : public Waiting {
 public:
  explicit InVain(Rung rung) : Waiting(2, rung) {
    add("plugin", kPlugin, [this] {
      if (const auto run = mews_test::try_claim(pool(kPlugin), kRunBytes)) give_back(kPlugin, *run);
    });
    add("host", kHost, [this] { (void)wait(kHost, 1); });
    add("other", kOther, [this] { (void)wait(kOther, 1); });
  }
};

}  // namespace

TEST_CASE("give back: a thread that waits is not left asleep by one that claimed in vain") {
  InVain told(Rung::by_pools);
  require_holds("a run in vain", told, {});
  InVain untold(Rung::by_releases);
  require_found("a run in vain, nobody told", untold, {}, "other sleeps for ever on freed_bell");
}

TEST_CASE("give back: two that wait for runs wake each other, but not without end") {
  TwoRuns scenario;
  require_holds("two runs that wait", scenario, {});
}

}  // namespace mews::model
