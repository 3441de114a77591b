// SPDX-License-Identifier: MIT
#include "mews/mem/slab_pool.hpp"

// Payloads above the largest class: adjacent slabs of it.
namespace mews::inline MEWS_LAYOUT::mem {

// Claims the first row of `count` free slabs. It searches by loads alone, so that a claim in vain
// blocks no other claim and wakes nobody: a slab is given back, and waiters told, only where
// another claim got the next one at that moment. So two threads that wait for runs do not keep
// waking each other.
bool SlabPool::claim_run(Slab& run, std::uint32_t count) {
  const ClassId id{arena_.class_count() - 1};
  const auto& view = arena_.view(id);
  std::uint32_t begin = 0;
  for (std::uint32_t i = 0; i < view.ordinary_slabs; ++i) {
    // Relaxed: only a guess for the exchange, which checks it.
    const auto word = layout::TruthWord::unpack(view.words[i].load(std::memory_order_relaxed));
    if (word.phase == layout::Phase::free) {
      if (i + 1 - begin < count) continue;
      const auto taken = claim_row(run, begin, count);
      if (taken == count) return true;
      i = begin + taken;
    }
    begin = i + 1;
  }
  return false;
}

// In ascending order, so that of two claims that meet one goes on. Returns the number of slabs
// claimed before the first that was not free; unless that is all of them, they are free again.
std::uint32_t SlabPool::claim_row(Slab& run, std::uint32_t begin, std::uint32_t count) {
  const ClassId id{arena_.class_count() - 1};
  const auto& view = arena_.view(id);
  std::uint32_t taken = 0;
  for (; taken < count; ++taken) {
    const auto word = take_free(view.words[begin + taken]);
    if (word == 0) break;
    if (taken == 0) describe(run, view, id, {word, begin});
  }
  run.count = taken;
  if (taken > 0 && taken < count) release_run(run);
  return taken;
}

}  // namespace mews::inline MEWS_LAYOUT::mem
