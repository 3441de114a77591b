// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "mews/base/atomic.hpp"
#include "mews/layout/limits.hpp"

/// One process of the arena. The host writes an entry before it invites a process to it.
///
/// offset size field       writer               meaning
/// 0      8    seat        host, peer           a SeatWord
/// 8      4    pid         host, peer           process id; a spawned one attaches only to its own
/// 12     4    fences      host, peer           1: registered for the asymmetric fence
/// 16     8    start_time  host, peer           /proc/pid/stat field 22, for diagnosis only
/// 24     40   name        host                 zero-terminated
/// 64     4    seats_used  host                 of the host's entry: peers from 0 on that ever
///                                              had a seat; of all others zero
/// 68     60   -           -                    zero
namespace mews::inline MEWS_LAYOUT::layout {

enum class PeerState : std::uint32_t {
  vacant = 0,    ///< may be given out
  invited = 1,   ///< given out, the process has not attached yet
  attached = 2,  ///< in use
  left = 3,      ///< closed in good order; its memory must still be reclaimed
  dead = 4,      ///< known dead; its memory is being reclaimed
};

/// State and epoch of this entry in one word, so that an outdated invitation cannot take a seat
/// that was given to another process since.
///
/// field  bits    meaning
/// state  0..31   a PeerState
/// epoch  32..63  +1 each time the seat is given out
///
/// transition           by                                                 how
/// any -> invited       the host, while no process has it, epoch + 1       store
/// invited -> attached  the invited process                                CAS
/// invited -> vacant    the host, when its offer was not taken up in time  CAS
/// invited -> vacant    the host, when no process could be started         store
/// attached -> left     the process                                        store
/// any -> dead          the host, once the process is gone                 exchange
/// dead -> vacant       the host, once nobody needs the channel            store
struct SeatWord {
  PeerState state = PeerState::vacant;
  std::uint32_t epoch = 0;

  friend constexpr bool operator==(const SeatWord&, const SeatWord&) noexcept = default;

  [[nodiscard]] constexpr std::uint64_t pack() const noexcept {
    return std::uint64_t{static_cast<std::uint32_t>(state)} | std::uint64_t{epoch} << 32;
  }
  [[nodiscard]] static constexpr SeatWord unpack(std::uint64_t word) noexcept {
    return {.state = static_cast<PeerState>(static_cast<std::uint32_t>(word)),
            .epoch = static_cast<std::uint32_t>(word >> 32)};
  }
};

inline constexpr std::size_t kPeerNameBytes = 40;

struct alignas(kApartBytes) PeerEntry {
  base::Atomic<std::uint64_t> seat;
  base::Atomic<std::uint32_t> pid;
  base::Atomic<std::uint32_t> fences;
  base::Atomic<std::uint64_t> start_time;
  char name[kPeerNameBytes];
  base::Atomic<std::uint32_t> seats_used;
  std::byte reserved[60];
};

static_assert(sizeof(PeerEntry) == 128 && alignof(PeerEntry) == kApartBytes);
static_assert(offsetof(PeerEntry, seat) == 0);
static_assert(base::Atomic<std::uint64_t>::is_always_lock_free);
static_assert(offsetof(PeerEntry, pid) == 8 && offsetof(PeerEntry, fences) == 12);
static_assert(offsetof(PeerEntry, start_time) == 16 && offsetof(PeerEntry, name) == 24);
static_assert(offsetof(PeerEntry, seats_used) == 64 && offsetof(PeerEntry, reserved) == 68);

}  // namespace mews::inline MEWS_LAYOUT::layout
