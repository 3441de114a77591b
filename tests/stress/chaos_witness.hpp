// SPDX-License-Identifier: MIT
#pragma once

#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "support/shared_page.hpp"

/// Memory apart from any arena in which each life of a plugin notes what it publishes: what must
/// arrive although the plugin is dead.
namespace mews_test::chaos {

/// One process's notes; it alone writes them. Relaxed throughout: they are read by its own signal
/// handler, and by the host once it is known dead.
class Life {
 public:
  void begin(pid_t pid) noexcept {
    pid_.store(0, std::memory_order_relaxed);
    begun_.store(0, std::memory_order_relaxed);
    published_.store(0, std::memory_order_relaxed);
    pid_.store(pid, std::memory_order_relaxed);
  }
  [[nodiscard]] pid_t pid() const noexcept { return pid_.load(std::memory_order_relaxed); }

  /// Before and after each publication: how many letters there will be by it, and how many there
  /// are. A fence of the compiler's keeps the publication between the two.
  void note_begun(std::uint64_t letters) noexcept {
    begun_.store(letters, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  void note_published(std::uint64_t letters) noexcept {
    std::atomic_signal_fence(std::memory_order_seq_cst);
    published_.store(letters, std::memory_order_relaxed);
    begun_.store(letters, std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t begun() const noexcept {
    return begun_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t published() const noexcept {
    return published_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<pid_t> pid_{0};
  std::atomic<std::uint64_t> begun_{0};
  std::atomic<std::uint64_t> published_{0};
};

/// The lives of one plugin, the last few of them.
class Witness {
 public:
  /// In the child: a life of its own.
  [[nodiscard]] Life& begin_life() noexcept {
    auto& life = lives_[count_.fetch_add(1, std::memory_order_relaxed) % kLives];
    life.begin(::getpid());
    return life;
  }

  /// Of a process that is dead: what is wrong if so many of its letters have been received.
  [[nodiscard]] std::string complaint(pid_t pid, std::uint64_t received) const {
    std::uint64_t begun = 0;
    std::uint64_t published = 0;
    for (const auto& life : lives_) {
      if (life.pid() != pid) continue;
      begun = life.begun();
      published = life.published();
    }
    if (published <= received && received <= begun) return {};
    return "received " + std::to_string(received) + " letters of a process that had published " +
           std::to_string(published) + " and begun " + std::to_string(begun) + "; ";
  }

 private:
  // The next life begins before the last one has been looked at, but no third one.
  static constexpr std::uint32_t kLives = 4;
  std::atomic<std::uint32_t> count_{0};
  std::array<Life, kLives> lives_;
};

using WitnessPage = SharedPage<Witness>;

}  // namespace mews_test::chaos
