// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>

#include "mews/base/atomic.hpp"
#include "mews/base/thread_token.hpp"
#include "mews/base/visible.hpp"

namespace mews::inline MEWS_LAYOUT::sync {

/// Counts references to an object until its owner closes the count; then the call that finds no
/// reference left ends the object.
///
/// A locked operation per reference would cost as much as the slab that it counts. So the count is
/// in two parts: one thread, the first to count, changes a word of its own by plain stores; all
/// others change a shared word by locked operations. Only the sum means anything, and only once the
/// count is closed: the closing thread takes the bias away, runs a `heavy_fence`, waits until the
/// biased thread is not between two stores, and adds its part to the shared one. Where there is no
/// asymmetric fence, nobody has a bias.
///
/// word     writer             readers      publish / observe                protects
/// biased_  first thread, then any thread   [O1] relaxed / [O2] relaxed      who may change `own_`
///          the closing one
/// busy_    biased thread      closing one  [B1] release / [B2] acquire      `own_`
/// own_     biased thread      closing one  plain, before [B1] / after [B2]  nothing: a number
/// shared_  any thread         any thread   [S1] release / [S2] acquire      the object's life
///
/// Source: J. Choi, T. Shull, J. Torrellas, "Biased Reference Counting: Minimizing Atomic
/// Operations in Garbage Collection", PACT 2018; here the bias is taken away by membarrier(2).
///
/// Process-private. `add` and `drop` are wait-free.
class BiasedCount {
 public:
  BiasedCount() = default;
  BiasedCount(const BiasedCount&) = delete;
  BiasedCount& operator=(const BiasedCount&) = delete;

  /// One reference more. The caller has one, or is sure that the count is not closed meanwhile.
  void add() noexcept {
    if (!try_change(1)) [[unlikely]]
      add_shared();
  }

  /// One reference less; true when it was the last one of a closed count. The caller ends the
  /// object then, and does not touch it otherwise. Any thread, whichever added the reference.
  [[nodiscard]] bool drop() noexcept { return !try_change(-1) && drop_shared(); }

  /// So many references more, or less: those that a caller has counted by itself. The count is not
  /// closed meanwhile.
  void add(std::int64_t difference) noexcept {
    // Relaxed: as in `add_shared`.
    shared_.fetch_add(difference, std::memory_order_relaxed);
  }

  /// The owner's reference goes, once. True as for `drop`. Waits while the biased thread is in
  /// the middle of a change: some instructions of that thread.
  [[nodiscard]] MEWS_VISIBLE bool close() noexcept;

 protected:
  // The steps of `close`, which the model checker takes one by one.
  /// Nobody gets the bias from now on. False when it is not known whether its thread has seen that.
  [[nodiscard]] bool take_bias() noexcept;
  /// Whether the thread that had the bias is still in the middle of a change.
  [[nodiscard]] bool is_busy() const noexcept {
    // [B2] acquire: `own_`, and that thread's use of the object.
    return busy_.load(std::memory_order_acquire);
  }
  /// Adds both parts up. True as for `drop`.
  [[nodiscard]] bool add_up() noexcept;

 private:
  /// Added to `shared_` until `close`: a shared part alone is never zero before.
  static constexpr std::int64_t kOpen = std::int64_t{1} << 62;

  /// False when the bias is not this thread's.
  [[nodiscard]] bool try_change(std::int64_t difference) noexcept {
    const auto* const self = base::thread_token();
    // Relaxed: a guess, asked again in [O2]. Only this thread writes its token here.
    if (biased_.load(std::memory_order_relaxed) != self) return false;
    // Relaxed: the closing thread's heavy fence orders it before [O2] as seen from there.
    busy_.store(true, std::memory_order_relaxed);
    base::compiler_fence();
    // [O2] relaxed: nothing is read that the closing thread wrote.
    const bool is_biased = biased_.load(std::memory_order_relaxed) == self;
    if (is_biased) [[likely]]
      own_.add(difference);
    // [B1] release: `own_`, and each use of the object before it.
    busy_.store(false, std::memory_order_release);
    return is_biased;
  }
  /// True when the bias is this thread's from now on: nobody had it yet.
  [[nodiscard]] bool gets_bias() noexcept;
  [[gnu::cold]] MEWS_VISIBLE void add_shared() noexcept;
  [[gnu::cold]] MEWS_VISIBLE bool drop_shared() noexcept;

  /// The biased thread's token; null: nobody yet; the address of this word: nobody any more.
  alignas(64) base::LocalAtomic<const void*> biased_{nullptr};
  base::LocalAtomic<bool> busy_{false};
  base::Ordered<std::int64_t> own_;
  alignas(64) base::LocalAtomic<std::int64_t> shared_{kOpen + 1};
};

}  // namespace mews::inline MEWS_LAYOUT::sync
