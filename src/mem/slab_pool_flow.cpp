// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>

#include "mews/mem/slab_pool.hpp"

// How many slabs of a home chunk take turns; the rules and their reasons are at `SlabPool`. All of
// it is this process's own (`Home`) and relaxed: the shared words do not change here.
namespace mews::inline MEWS_LAYOUT::mem {
namespace {

/// By need, slabs up to this size are joined by as many again, up to so many bytes: at about half a
/// nanosecond a byte, 150 us. Larger ones come one by one, as each may be used in part only.
constexpr std::uint64_t kSmallSlabBytes = std::uint64_t{16} << 10;
constexpr std::uint64_t kNeedStepBytes = std::uint64_t{256} << 10;

/// A class of smaller slabs grows by need alone: a stream is as fast with the slabs that its lane
/// can carry, and an exchange keeps to a page.
constexpr std::uint64_t kBulkSlabBytes = std::uint64_t{16} << 10;
/// A flow is looked at after it has come around so often: then it has lost about as much time by
/// the rewriting of warm lines as three times as many slabs cost.
constexpr std::uint32_t kRoundsLooked = 8;
constexpr std::uint32_t kFewestLooked = 16;
/// So many looks in a row must find bulk: one may have been cut in two by another process.
constexpr std::uint32_t kBulkLooks = 2;
/// Below 256 MB/s the rewriting costs a process less than a fortieth of its time.
constexpr std::uint64_t kSlowestBulkBytesPerUs = 256;
/// A process that seems to write more than 256 GB/s does not write its slabs.
constexpr std::uint64_t kFastestBulkBytesPerNs = 256;
/// For bulk, threefold more, up to so many bytes: no call takes longer than a step of `commit`.
constexpr std::uint64_t kBulkStepBytes = std::uint64_t{1} << 20;

std::int64_t now_ns() noexcept {
  return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::uint32_t slabs_in(std::uint64_t bytes, const ClassView& view) noexcept {
  return static_cast<std::uint32_t>(std::max<std::uint64_t>(bytes / view.geometry.slab_bytes, 1));
}

}  // namespace

// The warm slabs of the chunk are all in use.
SlabPool::Taken SlabPool::claim_colder(ClassId id, std::uint32_t chunk, std::uint32_t warm) {
  auto& home = homes_[id.value()];
  const auto& view = home.view;
  const auto begin = chunk << view.geometry.chunk_shift;
  const auto size = view.slabs_in_chunk(chunk);
  const auto slab = scan(view, begin + warm, begin + size);
  if (!slab) return slab;
  const auto first = slab.index - begin;
  auto end = first + 1;
  if (view.geometry.slab_bytes <= kSmallSlabBytes) {
    const auto in_page = slabs_in(layout::kPageBytes, view);
    const auto more = std::min(std::max(warm, in_page), slabs_in(kNeedStepBytes, view));
    const auto wanted = std::min((first + more + in_page - 1) / in_page * in_page, size);
    // Its own pages come with the claim, alone if the system has no memory for more.
    if (wanted > end && back_ahead(id, SlabIndex{slab.index + 1}, wanted - end)) end = wanted;
  }
  home.warm.store(end, std::memory_order_relaxed);
  home.next.store(first + 1 == end ? 0 : first + 1, std::memory_order_relaxed);
  home.bulk_looks.store(0, std::memory_order_relaxed);
  look_later(home, end < size);
  return slab;
}

void SlabPool::look_later(Home& home, bool can_grow) noexcept {
  auto claims = kNoLook;
  if (can_grow && home.view.geometry.slab_bytes >= kBulkSlabBytes) {
    claims = std::max(kFewestLooked, kRoundsLooked * home.warm.load(std::memory_order_relaxed));
    home.looked_at_ns.store(now_ns(), std::memory_order_relaxed);
  }
  home.between_looks.store(claims, std::memory_order_relaxed);
  home.left.store(claims, std::memory_order_relaxed);
}

// `bytes` of the latest claim stand for all since the last look.
void SlabPool::look_at_flow(ClassId id, std::uint32_t chunk, std::uint64_t bytes) {
  auto& home = homes_[id.value()];
  const auto& view = home.view;
  const auto begin = chunk << view.geometry.chunk_shift;
  const auto size = view.slabs_in_chunk(chunk);
  const auto warm = std::min(home.warm.load(std::memory_order_relaxed), size);
  const auto volume = bytes * home.between_looks.load(std::memory_order_relaxed);
  const auto ns = static_cast<std::uint64_t>(
      std::max<std::int64_t>(now_ns() - home.looked_at_ns.load(std::memory_order_relaxed), 1));
  // Pages are got for whole slabs: they should be of use.
  const bool is_bulk = warm > 0 && bytes > view.geometry.slab_bytes / 2 &&
                       volume / kSlowestBulkBytesPerUs >= ns / 1000 &&
                       volume / kFastestBulkBytesPerNs <= ns;
  const auto looks = is_bulk ? home.bulk_looks.load(std::memory_order_relaxed) + 1 : 0;
  home.bulk_looks.store(looks % kBulkLooks, std::memory_order_relaxed);
  if (looks < kBulkLooks || warm == size) return look_later(home, warm < size);
  const auto more = std::min({3 * warm, slabs_in(kBulkStepBytes, view), size - warm});
  const bool has_more = back_ahead(id, SlabIndex{begin + warm}, more);
  if (has_more) home.warm.store(warm + more, std::memory_order_relaxed);
  // Where the system has no memory it is not asked again.
  look_later(home, has_more && warm + more < size);
}

}  // namespace mews::inline MEWS_LAYOUT::mem
