// SPDX-License-Identifier: MIT
#include "support/yardsticks.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "support/shared_block.hpp"

namespace mews::bench {
namespace {

struct alignas(128) ApartWord {
  std::atomic<std::uint64_t> value;
};
struct alignas(64) Line {
  std::atomic<std::uint64_t> value;
};

// Turns count up on both sides alike, batch after batch.
using Turn = std::uint64_t;

void futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) {
  ::syscall(SYS_futex, &word, operation, value, nullptr, nullptr, 0);
}

}  // namespace

CasePtr ping_pong() {
  auto word = make_shared_block<ApartWord>();
  const auto here = [word, turn = Turn{0}](const Batch& batch) mutable {
    repeat(batch, [&] {
      word->value.store(turn + 1, std::memory_order_release);
      turn += 2;
      while (word->value.load(std::memory_order_acquire) != turn) {
      }
    });
  };
  const auto there = [word, turn = Turn{0}](const Batch& batch) mutable {
    repeat(batch, [&] {
      turn += 2;
      while (word->value.load(std::memory_order_acquire) != turn - 1) {
      }
      word->value.store(turn, std::memory_order_release);
    });
  };
  return pair_case(here, there);
}

CasePtr ring_ping_pong() {
  constexpr std::size_t kLines = 1024;
  struct Rings {
    alignas(4096) std::array<Line, kLines> there;
    alignas(4096) std::array<Line, kLines> back;
  };
  auto rings = make_shared_block<Rings>();
  const auto here = [rings, turn = Turn{0}](const Batch& batch) mutable {
    repeat(batch, [&] {
      const auto at = ++turn % kLines;
      rings->there[at].value.store(turn, std::memory_order_release);
      while (rings->back[at].value.load(std::memory_order_acquire) != turn) {
      }
    });
  };
  const auto there = [rings, turn = Turn{0}](const Batch& batch) mutable {
    repeat(batch, [&] {
      const auto at = ++turn % kLines;
      while (rings->there[at].value.load(std::memory_order_acquire) != turn) {
      }
      rings->back[at].value.store(turn, std::memory_order_release);
    });
  };
  return pair_case(here, there);
}

CasePtr futex_round_trip() {
  struct Words {
    alignas(128) std::atomic<std::uint32_t> there;
    alignas(128) std::atomic<std::uint32_t> back;
  };
  auto words = make_shared_block<Words>();
  const auto wait = [](std::atomic<std::uint32_t>& word, std::uint32_t turn) {
    while (word.load(std::memory_order_acquire) != turn)
      futex(word, FUTEX_WAIT, turn - 1);
  };
  const auto tell = [](std::atomic<std::uint32_t>& word, std::uint32_t turn) {
    word.store(turn, std::memory_order_release);
    futex(word, FUTEX_WAKE, 1);
  };
  const auto here = [=, turn = std::uint32_t{0}](const Batch& batch) mutable {
    repeat_rested(batch, [&] {
      tell(words->there, ++turn);
      wait(words->back, turn);
    });
  };
  const auto there = [=, turn = std::uint32_t{0}](const Batch& batch) mutable {
    repeat(batch, [&] {
      wait(words->there, ++turn);
      tell(words->back, turn);
    });
  };
  return rested_pair_case(here, there);
}

CasePtr memory_copy(std::size_t bytes) {
  auto from = std::make_shared<std::vector<std::byte>>(bytes);
  auto to = std::make_shared<std::vector<std::byte>>(bytes);
  return local_case([=](const Batch& batch) {
    repeat(batch, [&] {
      std::memcpy(to->data(), from->data(), bytes);
      asm volatile("" : : "r"(to->data()) : "memory");
    });
  });
}

CasePtr malloc_free(std::size_t bytes) {
  return local_case([bytes](const Batch& batch) {
    repeat(batch, [&] {
      void* memory = std::malloc(bytes);
      *static_cast<volatile std::uint64_t*>(memory) = bytes;
      std::free(memory);
    });
  });
}

}  // namespace mews::bench
