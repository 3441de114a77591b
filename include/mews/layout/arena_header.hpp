// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "mews/base/atomic.hpp"
#include "mews/layout/limits.hpp"

/// The first bytes of an arena: everything that a process must know to use it.
///
///  +--------------------+ 0
///  | ArenaHeader        | one page
///  +--------------------+ seats_offset
///  | SeatPage[]         | peer_capacity pages: entry and lanes of a peer; page 0 is the host's
///  +--------------------+ pool_offset
///  | PoolState          | fresh cursors and bells of all classes
///  +--------------------+ classes[i].words_offset, owners_offset, hints_offset
///  | per class          | truth words, chunk owners, chunk hints
///  +--------------------+ cells_offset
///  | per lane: Cell[]   | ring_cells x 64 bytes, page-aligned
///  +--------------------+ classes[i].slabs_offset
///  | per class: slabs   | slab_count x slab_bytes, page-aligned
///  +--------------------+ arena_bytes
///
/// offset size field             meaning
/// 0      8    magic             kMagic
/// 8      4    layout_major      differs: cannot attach
/// 12     4    layout_minor      differs: can attach; told in the error of another major version
/// 16     16   arena_id          random, never zero; tells arenas apart in a dump
/// 32     8    arena_bytes       size of the whole arena
/// 40     4    peer_capacity     entries in PeerEntry[], the host included
/// 44     4    ring_cells        cells of each lane, a power of two
/// 48     4    class_count       rows of the size-class table in use
/// 52     4    fallback_classes  how many classes up a request may go when its own is exhausted
/// 56     4    host_pid          process id of the creator; told in the error once it is dead
/// 60     4    reply_slabs       the last slabs of each class, which serve replies only
/// 64     8    host_start_time   its /proc/pid/stat field 22, for diagnosis only
/// 72     8    seats_offset      page-aligned
/// 80     8    pool_offset
/// 88     8    cells_offset      page-aligned
/// 96     16   -                 zero
/// 112    768  classes[16]       ClassEntry; rows past class_count are zero
/// 880    8    checksum          of bytes 0..879
/// 888    4    ready             kReady once all above is written; written last, and only by
///                               the creator, which writes nothing here after it
/// 892    4    -                 zero
///
/// The header is mapped read-only in every process, its creator included.
namespace mews::inline MEWS_LAYOUT::layout {

inline constexpr std::uint32_t kReady = 0x59444552;  // "REDY" in memory

/// One size class. All offsets are from the start of the arena.
///
/// offset size field
/// 0      8    slab_bytes     a power of two
/// 8      4    slab_count
/// 12     4    chunk_slabs    slabs per chunk, a power of two; the last chunk may be partial
/// 16     8    words_offset   truth words, see `truth_word_stride`
/// 24     8    owners_offset  4 bytes per chunk
/// 32     8    hints_offset   1 bit per chunk, in 8-byte words
/// 40     8    slabs_offset   page-aligned
struct ClassEntry {
  std::uint64_t slab_bytes;
  std::uint32_t slab_count;
  std::uint32_t chunk_slabs;
  std::uint64_t words_offset;
  std::uint64_t owners_offset;
  std::uint64_t hints_offset;
  std::uint64_t slabs_offset;
};

/// The immutable part.
struct HeaderFields {
  std::uint64_t magic;
  std::uint32_t layout_major;
  std::uint32_t layout_minor;
  std::uint64_t arena_id[2];
  std::uint64_t arena_bytes;
  std::uint32_t peer_capacity;
  std::uint32_t ring_cells;
  std::uint32_t class_count;
  std::uint32_t fallback_classes;
  std::uint32_t host_pid;
  std::uint32_t reply_slabs;
  std::uint64_t host_start_time;
  std::uint64_t seats_offset;
  std::uint64_t pool_offset;
  std::uint64_t cells_offset;
  std::uint64_t reserved1[2];
  ClassEntry classes[kMaxClasses];
  std::uint64_t checksum;
};

struct ArenaHeader {
  HeaderFields fields;
  base::Atomic<std::uint32_t> ready;
  std::uint32_t reserved2;
};

inline constexpr std::size_t kChecksummedBytes = offsetof(HeaderFields, checksum);

static_assert(sizeof(ClassEntry) == 48 && std::is_trivially_copyable_v<ClassEntry>);
static_assert(offsetof(ClassEntry, slab_bytes) == 0 && offsetof(ClassEntry, slab_count) == 8);
static_assert(offsetof(ClassEntry, chunk_slabs) == 12 && offsetof(ClassEntry, words_offset) == 16);
static_assert(offsetof(ClassEntry, owners_offset) == 24 &&
              offsetof(ClassEntry, hints_offset) == 32);
static_assert(offsetof(ClassEntry, slabs_offset) == 40);
static_assert(sizeof(HeaderFields) == 888 && std::is_trivially_copyable_v<HeaderFields>);
static_assert(sizeof(ArenaHeader) == 896 && sizeof(ArenaHeader) <= kPageBytes);
static_assert(offsetof(HeaderFields, magic) == 0 && offsetof(HeaderFields, layout_major) == 8);
static_assert(offsetof(HeaderFields, layout_minor) == 12 && offsetof(HeaderFields, arena_id) == 16);
static_assert(offsetof(HeaderFields, arena_bytes) == 32);
static_assert(offsetof(HeaderFields, peer_capacity) == 40);
static_assert(offsetof(HeaderFields, ring_cells) == 44 &&
              offsetof(HeaderFields, class_count) == 48);
static_assert(offsetof(HeaderFields, fallback_classes) == 52);
static_assert(offsetof(HeaderFields, host_pid) == 56 && offsetof(HeaderFields, reply_slabs) == 60);
static_assert(offsetof(HeaderFields, host_start_time) == 64);
static_assert(offsetof(HeaderFields, seats_offset) == 72);
static_assert(offsetof(HeaderFields, pool_offset) == 80);
static_assert(offsetof(HeaderFields, cells_offset) == 88);
static_assert(offsetof(HeaderFields, reserved1) == 96 && offsetof(HeaderFields, classes) == 112);
static_assert(offsetof(HeaderFields, checksum) == 880 && offsetof(ArenaHeader, ready) == 888);
static_assert(offsetof(ArenaHeader, reserved2) == 892);

}  // namespace mews::inline MEWS_LAYOUT::layout
