// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <vector>

#include "model/channel_steps.hpp"

/// Bugs that systems like this one have had, each put back alone: the same steps on the same words
/// as `Real`, in a wrong order. The checker is worth what it finds of them.
namespace mews::model {

/// Free is a check, and then a store.
struct CheckThenStoreFree : Real {
  static bool release(mem::SlabPool& pool, const mem::Slab& slab) {
    auto& word = pool.arena().view(slab.size_class).words[slab.first.value()];
    if (word.load(std::memory_order_acquire) != slab.word) return false;
    word.store(layout::TruthWord::unpack(slab.word).freed().pack(), std::memory_order_release);
    return true;
  }
};

/// The slab is taken first, and then its owner is written.
struct OwnerAfterPop : Real {
  static std::optional<mem::Slab> claim(TinyArena& world, int peer) {
    // So that the recovery looks at all of them.
    world.arena().pool().fresh[0].store(world.slabs(), std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < world.slabs(); ++i) {
      auto& word = world.view().words[i];
      auto seen = word.load(std::memory_order_relaxed);
      const auto free = layout::TruthWord::unpack(seen);
      if (free.phase != layout::Phase::free) continue;
      if (!word.compare_exchange_strong(seen, free.held_by(0).pack(), std::memory_order_acquire,
                                        std::memory_order_relaxed)) {
        continue;
      }
      const auto owned = free.held_by(static_cast<std::uint16_t>(peer)).pack();
      word.store(owned, std::memory_order_relaxed);
      const mem::Slab slab{.size_class = kClass, .first = SlabIndex{i}, .count = 1, .word = owned};
      world.knows(peer, slab);
      return slab;
    }
    return std::nullopt;
  }
};

/// What the kernel is to compare the wake word with is read after the last look.
struct WakeWordAfterCheck : Real {
  template <class Look>
  static void sleep(const sync::Doorbell& bell, Look&& is_there) {
    (void)bell.arm(sync::Sleeper::futex);
    // Arming an armed bell changes nothing and tells what the word is now.
    if (!is_there()) bell.sleep(bell.arm(sync::Sleeper::futex), forever);
  }
};

/// The sleeper looks before it arms, and not again.
struct NoSecondLook : Real {
  template <class Look>
  static void sleep(const sync::Doorbell& bell, Look&& is_there) {
    if (!is_there()) bell.sleep(bell.arm(sync::Sleeper::futex), forever);
  }
};

/// The record is out before the slab is in flight.
struct PublishBeforeInFlight : Real {
  static bool hand_over(End& end, mem::Slab& slab, const layout::Descriptor& record) {
    publish(end, record, {});
    expect(end.world->send(end.self, slab, end.out), "a slab that was held could not be sent");
    return true;
  }
};

/// The reader goes on to the next record before it holds the slab of this one.
struct AdvanceBeforeHeld : Real {
  static std::optional<mem::Slab> pick_up(End& end, const layout::Descriptor& record) {
    end.consumer->advance(record);
    point("has advanced, not yet taken the slab");
    return end.world->take(end.self, claim_of(record), end.in, end.partner);
  }
};

/// Reclaim also frees what the host has received from the dead one and still reads.
struct ReclaimOfBorrowed : Real {
  static void reclaim(End& end) {
    Real::reclaim(end);
    const auto given_back = end.world->arena().lane(end.in).head.load(std::memory_order_acquire);
    ring::walk_published(end.in_cells, given_back, [&](const layout::Descriptor& record) {
      if (record.slab_class == layout::kNoClass) return;
      auto& word = end.world->view().words[record.slab_index];
      auto seen = word.load(std::memory_order_relaxed);
      const auto held = layout::TruthWord::unpack(seen);
      if (held.generation != record.generation || held.phase != layout::Phase::held) return;
      word.compare_exchange_strong(seen, held.freed().pack(), std::memory_order_release,
                                   std::memory_order_relaxed);
    });
  }
};

/// The sender does not look whether the receiver has died meanwhile.
struct NoLookForDeath : Real {
  static bool hand_over(End& end, mem::Slab& slab, const layout::Descriptor& record) {
    expect(end.world->send(end.self, slab, end.out), "a slab that was held could not be sent");
    publish(end, record, {});
    return true;
  }
};

/// After a death the bells are rung only where somebody is armed; but the dead one may have
/// cleared that and not have woken anybody yet.
struct RingOnlyTheArmed : Real {
  static void ring_for_the_dead(const sync::Doorbell& bell) {
    (void)bell.ring(sync::RingFence::full);
  }
};

/// The ringer pays no fence, and the sleeper's is not a heavy one.
struct NoFence : Real {
  static constexpr auto kRing = sync::RingFence::light;
};

}  // namespace mews::model
