// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "mews/base/atomic.hpp"
#include "mews/layout/limits.hpp"

/// One process of the arena. The host writes an entry before it invites a process to it.
///
/// offset size field       writer               meaning
/// 0      4    state       host, peer           a PeerState
/// 4      4    epoch       host                 +1 each time the entry is given out again
/// 8      4    pid         host, peer           process id, for diagnosis only
/// 12     4    fences      peer                 1: registered for the asymmetric fence
/// 16     8    start_time  peer                 /proc/pid/stat field 22, for diagnosis only
/// 24     40   name        host                 zero-terminated
/// 64     64   -           -                    zero
namespace mews::layout {

enum class PeerState : std::uint32_t {
  vacant = 0,    ///< may be given out
  invited = 1,   ///< given out, the process has not attached yet
  attached = 2,  ///< in use
  left = 3,      ///< closed in good order; its memory is still to be taken back
  dead = 4,      ///< known dead; its memory is being taken back
};

inline constexpr std::size_t kPeerNameBytes = 40;

struct alignas(kApartBytes) PeerEntry {
  base::Atomic<std::uint32_t> state;
  base::Atomic<std::uint32_t> epoch;
  base::Atomic<std::uint32_t> pid;
  base::Atomic<std::uint32_t> fences;
  base::Atomic<std::uint64_t> start_time;
  char name[kPeerNameBytes];
  std::byte reserved[64];
};

static_assert(sizeof(PeerEntry) == 128 && alignof(PeerEntry) == kApartBytes);
static_assert(offsetof(PeerEntry, state) == 0 && offsetof(PeerEntry, epoch) == 4);
static_assert(offsetof(PeerEntry, pid) == 8 && offsetof(PeerEntry, fences) == 12);
static_assert(offsetof(PeerEntry, start_time) == 16 && offsetof(PeerEntry, name) == 24);
static_assert(offsetof(PeerEntry, reserved) == 64);

}  // namespace mews::layout
