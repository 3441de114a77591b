// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>

#include "mews/base/atomic.hpp"
#include "mews/layout/limits.hpp"

/// The shared words of one lane, on separate lines by their writers. There is no tail word: the
/// mark in each record says that the record is there (cell.hpp).
///
/// offset size field          writer                     meaning
/// 0      8    head           consumer                   next cell to read (monotonic), published
///                                                       now and then
/// 8      4    consumer_role  consumer, host             1 + peer that holds the role, 0 = vacant
/// 128    4    data_bell      consumer arms, producer    "records are there"
/// 132    4    producer_role  producer, host             1 + peer that holds the role, 0 = vacant
/// 136    4    reader_left    consumer's side            1: nobody will read this lane any more
/// 256    4    space_bell     producer arms, consumer    "cells have become free"
///
/// Zero is an empty lane that nobody uses.
namespace mews::inline MEWS_LAYOUT::layout {

struct LaneState {
  alignas(kApartBytes) base::Atomic<std::uint64_t> head;
  base::Atomic<std::uint32_t> consumer_role;
  alignas(kApartBytes) base::Atomic<std::uint32_t> data_bell;
  base::Atomic<std::uint32_t> producer_role;
  base::Atomic<std::uint32_t> reader_left;
  alignas(kApartBytes) base::Atomic<std::uint32_t> space_bell;
};

static_assert(sizeof(LaneState) == 384 && alignof(LaneState) == kApartBytes);
static_assert(offsetof(LaneState, head) == 0 && offsetof(LaneState, consumer_role) == 8);
static_assert(offsetof(LaneState, data_bell) == 128 && offsetof(LaneState, producer_role) == 132);
static_assert(offsetof(LaneState, reader_left) == 136);
static_assert(offsetof(LaneState, space_bell) == 256);
static_assert(base::Atomic<std::uint64_t>::is_always_lock_free);
static_assert(base::Atomic<std::uint32_t>::is_always_lock_free);

}  // namespace mews::inline MEWS_LAYOUT::layout
