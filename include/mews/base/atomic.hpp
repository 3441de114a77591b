// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "mews/base/sanitizer.hpp"

/// Aliases for the words that processes share (`Atomic`), and for those that only the threads of
/// one process share (`LocalAtomic`).
///
/// In an ordinary build both *are* `std::atomic`. A build with MEWS_STEPPED defined announces every
/// operation to a hook before it happens: the crash tests kill the process there, the model checker
/// switches threads there, and a test reads the orders there. Such a build is for tests only.
///
/// Counters and figures stay plain `std::atomic`: no other thread depends on when it sees them.
namespace mews::inline MEWS_LAYOUT::base {

/// The operation that is about to happen to a word (stepped builds). No other process can see the
/// change of a local word.
enum class Step : std::uint8_t {
  load,
  store,
  exchange,
  local_store,
  local_exchange,
  fence,
  heavy_fence,
};

#if defined(MEWS_STEPPED)

/// Called before each operation, with the word's size and the requested order (of a
/// compare-exchange: the order on success). Null: no hook.
using StepHook = void (*)(Step step, const volatile void* word, std::size_t bytes,
                          std::memory_order order);
inline StepHook step_hook = nullptr;

inline void announce(Step step, const volatile void* word, std::size_t bytes,
                     std::memory_order order = std::memory_order_seq_cst) {
  if (step_hook != nullptr) step_hook(step, word, bytes, order);
}

/// `std::atomic`, with every operation announced first. Same size, alignment and orders.
template <class T, Step kStore, Step kExchange>
class SteppedAtomic {
 public:
  static constexpr bool is_always_lock_free = std::atomic<T>::is_always_lock_free;

  constexpr SteppedAtomic() noexcept = default;
  constexpr SteppedAtomic(T value) noexcept : word_(value) {}  // NOLINT: as std::atomic
  SteppedAtomic(const SteppedAtomic&) = delete;
  SteppedAtomic& operator=(const SteppedAtomic&) = delete;

  T load(std::memory_order order) const {
    announce(Step::load, this, sizeof(T), order);
    return word_.load(order);
  }
  void store(T value, std::memory_order order) {
    announce(kStore, this, sizeof(T), order);
    word_.store(value, order);
  }
  T exchange(T value, std::memory_order order) {
    announce(kExchange, this, sizeof(T), order);
    return word_.exchange(value, order);
  }
  bool compare_exchange_strong(T& expected, T desired, std::memory_order success,
                               std::memory_order failure) {
    announce(kExchange, this, sizeof(T), success);
    return word_.compare_exchange_strong(expected, desired, success, failure);
  }
  T fetch_add(T value, std::memory_order order) {
    announce(kExchange, this, sizeof(T), order);
    return word_.fetch_add(value, order);
  }
  T fetch_sub(T value, std::memory_order order) {
    announce(kExchange, this, sizeof(T), order);
    return word_.fetch_sub(value, order);
  }
  T fetch_or(T value, std::memory_order order) {
    announce(kExchange, this, sizeof(T), order);
    return word_.fetch_or(value, order);
  }
  T fetch_and(T value, std::memory_order order) {
    announce(kExchange, this, sizeof(T), order);
    return word_.fetch_and(value, order);
  }

 private:
  std::atomic<T> word_{};
};

template <class T>
using Atomic = SteppedAtomic<T, Step::store, Step::exchange>;
template <class T>
using LocalAtomic = SteppedAtomic<T, Step::local_store, Step::local_exchange>;

/// See below; here a local word, so that the checker sees whether the other words order it.
template <class T>
class Ordered {
 public:
  [[nodiscard]] T get() const { return word_.load(std::memory_order_relaxed); }
  void add(T difference) { word_.store(get() + difference, std::memory_order_relaxed); }

 private:
  LocalAtomic<T> word_{};
};

#else

inline void announce(Step, const volatile void*, std::size_t) noexcept {}

template <class T>
using Atomic = std::atomic<T>;
template <class T>
using LocalAtomic = std::atomic<T>;

/// A number that other words order: one thread uses it at a time. Plain, so that the compiler
/// changes it in place.
template <class T>
class Ordered {
 public:
  [[nodiscard]] T get() const noexcept { return value_; }
  void add(T difference) noexcept { value_ += difference; }

 private:
  T value_{};
};

#endif

/// Orders every earlier access of this thread before every later one (StoreLoad included). Each
/// caller names the partner.
inline void full_fence() {
  announce(Step::fence, nullptr, 0);
  if constexpr (kIsThreadSanitized) {
    // ThreadSanitizer does not model fences; a locked operation on a private word is a fence too.
    static thread_local std::atomic<std::uint32_t> word{0};
    word.fetch_add(1, std::memory_order_seq_cst);
  } else {
    std::atomic_thread_fence(std::memory_order_seq_cst);
  }
}

/// Keeps the compiler from moving accesses across; costs nothing and orders nothing in hardware.
inline void compiler_fence() noexcept {
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

}  // namespace mews::inline MEWS_LAYOUT::base
