// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>

#include "mews/ring/lane_consumer.hpp"
#include "mews/ring/lane_producer.hpp"
#include "mews/sync/doorbell.hpp"
#include "mews/sync/spin.hpp"
#include "support/fail.hpp"
#include "support/lane_cases.hpp"
#include "support/shared_block.hpp"

namespace mews::bench {

/// A lane in shared memory, outside any arena.
template <std::size_t kCells = 1024>
struct LaneBlock {
  layout::LaneState state;
  alignas(4096) std::array<layout::Cell, kCells> cells;
};

/// Waits for the other end as `Wake` says.
class LaneWaiter {
 public:
  LaneWaiter(Wake wake, base::Atomic<std::uint32_t>& own, base::Atomic<std::uint32_t>& other)
      : wake_(wake), own_(own), other_(other) {}

  void ring() const {
    if (wake_ == Wake::never) return;
    static_cast<void>(
        other_.ring(wake_ == Wake::light ? sync::RingFence::light : sync::RingFence::full));
  }

  template <class IsReady>
  void wait(IsReady&& is_ready) {
    if (wake_ == Wake::never) {
      while (!is_ready())
        sync::cpu_relax();
      return;
    }
    while (!spin_.spin(is_ready, forever)) {
      const auto ticket = own_.arm(sync::Sleeper::futex, sync::ArmFence::heavy);
      if (is_ready()) return;
      own_.sleep(ticket, forever);
    }
  }

 private:
  Wake wake_;
  sync::Doorbell own_;
  sync::Doorbell other_;
  sync::SpinBudget spin_{std::chrono::microseconds(50)};
};

class LaneWriter {
 public:
  LaneWriter(layout::LaneState& state, std::span<layout::Cell> cells, Wake wake)
      : lane_(state, cells), waiter_(wake, state.space_bell, state.data_bell) {}

  void stage(std::span<const std::byte> payload) {
    const layout::Descriptor message{.bytes = payload.size()};
    while (lane_.try_stage(message, payload, ring::Room::ordinary) != ring::Push::done) {
      publish();
      const auto cells = layout::record_cells(payload.size());
      waiter_.wait([&] { return lane_.has_room(cells, ring::Room::ordinary); });
    }
  }
  void publish() {
    lane_.publish();
    waiter_.ring();
  }

 private:
  ring::LaneProducer lane_;
  LaneWaiter waiter_;
};

class LaneReader {
 public:
  LaneReader(layout::LaneState& state, std::span<layout::Cell> cells, Wake wake)
      : lane_(state, cells), waiter_(wake, state.data_bell, state.space_bell) {}

  /// `read(payload)` sees the next message in place.
  template <class Read>
  void receive(Read&& read) {
    for (;;) {
      layout::Descriptor record;
      const auto look = lane_.look(record);
      require(look != ring::Look::corrupt, "the lane is corrupt");
      if (look == ring::Look::record) {
        read(lane_.inline_payload(record));
        lane_.advance(record);
        if (lane_.release_cells(look)) waiter_.ring();
        return;
      }
      if (lane_.release_cells(look)) waiter_.ring();
      waiter_.wait([&] { return lane_.has_record(); });
    }
  }

 private:
  ring::LaneConsumer lane_;
  LaneWaiter waiter_;
};

}  // namespace mews::bench
