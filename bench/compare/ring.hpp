// SPDX-License-Identifier: MIT
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "compare/setup.hpp"
#include "support/cpu.hpp"
#include "support/shared_block.hpp"

namespace mews::bench::compare {

/// A word to sleep on. The sleeper arms it and looks once more; who has published something rings,
/// which is a system call only if it is armed.
class Bell {
 public:
  void arm() { armed_.exchange(1, std::memory_order_seq_cst); }  // before the second look
  void disarm() { armed_.store(0, std::memory_order_relaxed); }
  void sleep() {
    while (armed_.load(std::memory_order_acquire) == 1)
      ::syscall(SYS_futex, &armed_, FUTEX_WAIT, 1, nullptr, nullptr, 0);
  }
  /// After a publication with an exchange, which is the fence between it and this look.
  void ring() {
    if (armed_.load(std::memory_order_seq_cst) == 0) return;
    if (armed_.exchange(0, std::memory_order_seq_cst) == 0) return;
    ::syscall(SYS_futex, &armed_, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  }

 private:
  alignas(128) std::atomic<std::uint32_t> armed_{0};
};

/// Waits until `look()` is true, as the style says. `spins_first`: looks for a while before
/// sleeping.
template <class Look>
void wait_by(Bell& bell, Wait wait, bool spins_first, Look&& look) {
  if (look()) return;
  if (wait == Wait::spin) {
    while (!look()) {
    }
    return;
  }
  if (spins_first) {
    constexpr double kSpinNs = 50'000;
    const auto end = ticks() + static_cast<std::uint64_t>(kSpinNs / ns_per_tick());
    do {
      for (int i = 0; i < 16; ++i) {
        if (look()) return;
      }
    } while (ticks() < end);
  }
  for (;;) {
    bell.arm();
    if (look()) return bell.disarm();
    bell.sleep();
    if (look()) return;
  }
}

/// One direction between two processes: slots that are written in place and read in place, each
/// with the number of its message in its first word. Nothing is checked.
class Ring {
 public:
  Ring(std::size_t bytes, bool reader_sleeps)
      : bytes_(bytes),
        payload_offset_(bytes <= kInLine ? 8 : 64),
        stride_((payload_offset_ + bytes + 63) / 64 * 64),
        slots_(slots_for(stride_)),
        reader_sleeps_(reader_sleeps),
        state_(make_shared_block<State>()),
        memory_(shared_memory(stride_ * slots_)) {}

  [[nodiscard]] std::size_t slots() const { return slots_; }

  // The writer's side.
  [[nodiscard]] bool has_room() {
    if (written_ - seen_head_ < slots_) return true;
    seen_head_ = state_->head.load(std::memory_order_acquire);
    return written_ - seen_head_ < slots_;
  }
  /// Where there is room.
  [[nodiscard]] std::span<std::byte> next_slot() { return {payload(written_), bytes_}; }
  void publish() {
    auto& number = number_of_slot(written_++);
    if (reader_sleeps_) {
      number.exchange(written_, std::memory_order_seq_cst);  // and the fence before `ring`
    } else {
      number.store(written_, std::memory_order_release);
    }
  }
  [[nodiscard]] Bell& room_bell() { return state_->room; }

  // The reader's side.
  [[nodiscard]] bool has_message() {
    return number_of_slot(read_).load(std::memory_order_acquire) == read_ + 1;
  }
  [[nodiscard]] std::span<const std::byte> front() { return {payload(read_), bytes_}; }
  void pop() {
    ++read_;
    if (read_ % std::max<std::size_t>(1, slots_ / 4) != 0) return;
    state_->head.exchange(read_, std::memory_order_seq_cst);  // and the fence before `ring`
    state_->room.ring();
  }

 private:
  static constexpr std::size_t kInLine = 480;
  struct State {
    alignas(128) std::atomic<std::uint64_t> head;
    Bell room;
  };

  /// About 4 MiB in turn: a slot has then left the other processor's nearest caches. Of larger ones
  /// the hottest are reused.
  static std::size_t slots_for(std::size_t stride) {
    return std::clamp((std::size_t{4} << 20) / stride, std::size_t{2}, Setup::kMostQueued);
  }
  std::byte* slot(std::uint64_t position) { return memory_.get() + position % slots_ * stride_; }
  std::byte* payload(std::uint64_t position) { return slot(position) + payload_offset_; }
  std::atomic<std::uint64_t>& number_of_slot(std::uint64_t position) {
    return *reinterpret_cast<std::atomic<std::uint64_t>*>(slot(position));
  }

  std::size_t bytes_;
  std::size_t payload_offset_;
  std::size_t stride_;
  std::size_t slots_;
  bool reader_sleeps_;
  std::shared_ptr<State> state_;
  std::shared_ptr<std::byte> memory_;
  std::uint64_t written_ = 0;    ///< of the writer's process
  std::uint64_t seen_head_ = 0;  ///< of the writer's process
  std::uint64_t read_ = 0;       ///< of the reader's process
};

}  // namespace mews::bench::compare
