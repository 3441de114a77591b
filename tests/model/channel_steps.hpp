// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

#include "mews/ring/lane_consumer.hpp"
#include "mews/ring/lane_producer.hpp"
#include "mews/sync/doorbell.hpp"
#include "model/tiny_arena.hpp"

/// What a channel does, step by step, out of the real lane, pool, doorbell and reclaim: without
/// time, without error texts, and with each order of steps that matters in a function of its own,
/// so that a mutant can replace it.
namespace mews::model {

/// One end of the channel, as its process has it.
struct End {
  End(TinyArena& tiny, int self_peer, LaneId out_lane, LaneId in_lane, std::uint32_t ring_cells)
      : world(&tiny),
        self(self_peer),
        partner(self_peer != kHost   ? kHost
                : in_lane == kToHost ? kPlugin
                                     : kOther),
        out(out_lane),
        in(in_lane),
        out_cells(tiny.arena().cells(out_lane).first(ring_cells)),
        in_cells(tiny.arena().cells(in_lane).first(ring_cells)) {
    reset();
  }

  void reset() {
    producer.emplace(world->arena().lane(out), out_cells);
    consumer.emplace(world->arena().lane(in), in_cells);
    partner_is_dead.store(0, std::memory_order_relaxed);
    published = 0;
  }

  [[nodiscard]] bool is_partner_dead() const {
    return partner_is_dead.load(std::memory_order_seq_cst) != 0;
  }
  [[nodiscard]] sync::Doorbell out_data() const { return bell(world->arena().lane(out).data_bell); }
  [[nodiscard]] sync::Doorbell out_space() const {
    return bell(world->arena().lane(out).space_bell);
  }
  [[nodiscard]] sync::Doorbell in_data() const { return bell(world->arena().lane(in).data_bell); }
  [[nodiscard]] sync::Doorbell in_space() const { return bell(world->arena().lane(in).space_bell); }
  [[nodiscard]] sync::Doorbell freed() const { return bell(world->arena().pool().freed_bell[0]); }

  TinyArena* world;
  int self;
  int partner;
  LaneId out;
  LaneId in;
  std::span<layout::Cell> out_cells;
  std::span<layout::Cell> in_cells;
  std::optional<ring::LaneProducer> producer;
  std::optional<ring::LaneConsumer> consumer;
  base::Atomic<std::uint32_t> partner_is_dead{0};  ///< set by the watcher of this process
  std::uint32_t published = 0;                     ///< messages, as the sender knows

 private:
  [[nodiscard]] static sync::Doorbell bell(base::Atomic<std::uint32_t>& word) {
    return sync::Doorbell(word);
  }
};

[[nodiscard]] inline mem::SlabPool::Claim claim_of(const layout::Descriptor& record) {
  return {.size_class = record.slab_class,
          .index = record.slab_index,
          .generation = record.generation,
          .bytes = record.bytes};
}

/// The orders of steps that matter, as the library has them. A mutant derives from this and hides
/// one of them.
struct Real {
  static constexpr auto kRing = sync::RingFence::full;

  [[nodiscard]] static std::optional<mem::Slab> claim(TinyArena& world, int peer) {
    return world.claim(peer);
  }

  static bool release(mem::SlabPool& pool, const mem::Slab& slab) { return pool.release(slab); }

  /// Sleeps until rung, unless `is_there`.
  template <class Look>
  static void sleep(const sync::Doorbell& bell, Look&& is_there) {
    const auto ticket = bell.arm(sync::Sleeper::futex);
    if (!is_there()) bell.sleep(ticket, forever);
  }

  /// A slab and its record to the other end, which may die meanwhile: false then.
  [[nodiscard]] static bool hand_over(End& end, mem::Slab& slab, const layout::Descriptor& record) {
    expect(end.world->send(end.self, slab, end.out), "a slab that was held could not be sent");
    if (end.is_partner_dead()) {
      auto& pool = end.world->pool(end.self);
      if (pool.unsend(slab, end.out)) (void)release(pool, slab);
      return false;
    }
    publish(end, record, {});
    return true;
  }

  /// The slab that a record names, for the reader; nothing where it is not to be had.
  [[nodiscard]] static std::optional<mem::Slab> pick_up(End& end,
                                                        const layout::Descriptor& record) {
    auto slab = end.world->take(end.self, claim_of(record), end.in, end.partner);
    point("has taken the slab, not yet advanced");
    end.consumer->advance(record);
    return slab;
  }

  /// The host's repair of what its dead partner left.
  static void reclaim(End& end) {
    std::vector<mem::SlabPool::Claim> published;
    point("looks how far the consumer is");
    ring::walk_published(end.in_cells, end.consumer->position(), [&](const auto& record) {
      if (record.slab_class != layout::kNoClass) published.push_back(claim_of(record));
    });
    (void)mem::reclaim(end.world->arena(), {.peer = PeerId{static_cast<std::uint32_t>(end.partner)},
                                            .from_it = end.in,
                                            .to_it = end.out,
                                            .published = published});
  }

  /// Wakes whom the dead one may have been about to wake.
  static void ring_for_the_dead(const sync::Doorbell& bell) { (void)bell.ring_always(); }

  /// Stages one record and makes it visible; there must be room.
  static void publish(End& end, const layout::Descriptor& record,
                      std::span<const std::byte> payload) {
    const auto push = end.producer->try_stage(record, payload, ring::Room::ordinary);
    expect(push == ring::Push::done, "a lane with room for a record refuses it");
    end.producer->publish();
    ++end.published;
  }
};

enum class Got : std::uint8_t { message, died };

struct Received {
  Got got = Got::died;
  std::uint64_t correlation = 0;
  std::optional<mem::Slab> slab;
};

/// Blocks until there is room for `cells`; false when the other end has died.
template <class Policy>
[[nodiscard]] bool wait_for_room(End& end, std::uint32_t cells) {
  const auto has_room = [&] { return end.producer->has_room(cells, ring::Room::ordinary); };
  while (!has_room()) {
    if (end.is_partner_dead()) return false;
    Policy::sleep(end.out_space(), [&] { return has_room() || end.is_partner_dead(); });
  }
  return true;
}

/// Sends a slab whose first word is `correlation`; false when the other end has died.
template <class Policy>
[[nodiscard]] bool send_slab(End& end, mem::Slab slab, std::uint64_t correlation) {
  if (!wait_for_room<Policy>(end, 1)) {
    (void)end.world->release(end.self, slab);
    return false;
  }
  std::memcpy(slab.data, &correlation, sizeof correlation);
  const layout::Descriptor record{.slab_class = static_cast<std::uint8_t>(slab.size_class.value()),
                                  .correlation = correlation,
                                  .bytes = sizeof correlation,
                                  .slab_index = slab.first.value(),
                                  .generation = layout::TruthWord::unpack(slab.word).generation};
  if (!Policy::hand_over(end, slab, record)) return false;
  (void)end.out_data().ring(Policy::kRing);
  return true;
}

/// Blocks until the next message or the other end's death.
template <class Policy>
[[nodiscard]] Received receive(End& end) {
  layout::Descriptor record;
  for (;;) {
    const auto look = end.consumer->look(record);
    expect(look != ring::Look::corrupt, "a record that a correct producer wrote reads as corrupt");
    if (look == ring::Look::record) {
      Received received{.got = Got::message, .correlation = record.correlation, .slab = {}};
      if (record.slab_class == layout::kNoClass) {
        end.consumer->advance(record);
      } else {
        received.slab = Policy::pick_up(end, record);
        expect(received.slab.has_value(), "a published message is not delivered");
      }
      if (end.consumer->release_cells(look)) (void)end.in_space().ring(Policy::kRing);
      return received;
    }
    if (end.consumer->release_cells(look)) (void)end.in_space().ring(Policy::kRing);
    if (end.is_partner_dead()) {
      // Published before it died, and after our look.
      if (end.consumer->has_record()) continue;
      return {};
    }
    Policy::sleep(end.in_data(),
                  [&] { return end.consumer->has_record() || end.is_partner_dead(); });
  }
}

/// What the plugin's watcher does once the host is known to be dead.
template <class Policy>
void give_up(End& end) {
  end.partner_is_dead.store(1, std::memory_order_seq_cst);
  Policy::ring_for_the_dead(end.in_data());
  Policy::ring_for_the_dead(end.out_space());
}

/// What the host's watcher does once the plugin is known to be dead.
template <class Policy>
void recover(End& end) {
  end.partner_is_dead.store(1, std::memory_order_seq_cst);
  Policy::ring_for_the_dead(end.in_data());
  Policy::ring_for_the_dead(end.out_space());
  Policy::reclaim(end);
  Policy::ring_for_the_dead(end.freed());
}

/// Checks what a slab says, and gives it back.
inline void read_and_release(End& end, const Received& received) {
  std::uint64_t said = 0;
  std::memcpy(&said, received.slab->data, sizeof said);
  expect(said == received.correlation, "a slab does not say what was written into it");
  expect(end.world->release(end.self, *received.slab), "a slab that was being read was taken away");
  (void)end.freed().ring(sync::RingFence::full);
}

}  // namespace mews::model
