// SPDX-License-Identifier: MIT
#include <atomic>
#include <cstdint>
#include <new>
#include <string>
#include <thread>

#include "../support/catch.hpp"
#include "../support/own_program.hpp"
#include "mews/base/atomic.hpp"
#include "mews/os/mapping.hpp"
#include "mews/os/membarrier.hpp"
#include "os_support.hpp"

namespace {

constexpr std::uint64_t kBytes = 4096;
constexpr std::uint32_t kRounds = 20000;

/// Store buffering: each side writes its own word and then reads the other's. If both may read the
/// old value, a publisher and a sleeper may miss each other.
struct Duel {
  alignas(64) std::atomic<std::uint32_t> light{0};
  alignas(64) std::atomic<std::uint32_t> heavy{0};
  alignas(64) std::atomic<std::uint32_t> light_ready{0};
  alignas(64) std::atomic<std::uint32_t> heavy_ready{0};
  alignas(64) std::atomic<std::uint32_t> misses{0};
  std::uint32_t seen_by_light = 0;
};

void meet(std::atomic<std::uint32_t>& mine, const std::atomic<std::uint32_t>& other,
          std::uint32_t round) {
  mine.store(round, std::memory_order_release);  // what this side did in the round before
  // acquire: what the other side did in the round before
  for (int spins = 0; other.load(std::memory_order_acquire) < round; ++spins) {
    if (spins > 1000) std::this_thread::yield();
  }
}

void be_light(Duel& duel) {
  const bool is_light = mews::os::register_light_fence();
  for (std::uint32_t round = 1; round <= kRounds; ++round) {
    meet(duel.light_ready, duel.heavy_ready, 2 * round);
    duel.light.store(round, std::memory_order_relaxed);  // the fence below orders it
    is_light ? mews::base::compiler_fence() : mews::base::full_fence();
    duel.seen_by_light = duel.heavy.load(std::memory_order_relaxed);  // the fence above orders it
    meet(duel.light_ready, duel.heavy_ready, 2 * round + 1);
  }
}

void be_heavy(Duel& duel) {
  for (std::uint32_t round = 1; round <= kRounds; ++round) {
    meet(duel.heavy_ready, duel.light_ready, 2 * round);
    duel.heavy.store(round, std::memory_order_relaxed);  // the fence below orders it
    mews::os::heavy_fence();
    const auto seen = duel.light.load(std::memory_order_relaxed);  // the fence above orders it
    meet(duel.heavy_ready, duel.light_ready, 2 * round + 1);
    if (seen < round && duel.seen_by_light < round) {
      duel.misses.fetch_add(1, std::memory_order_relaxed);  // read after the end of all rounds
    }
  }
}

}  // namespace

TEST_CASE("os: a process has the light fence exactly when it could register") {
  const bool is_registered = mews::os::register_light_fence();
  CHECK(mews::os::has_light_fence() == is_registered);
  CHECK(mews::os::register_light_fence() == is_registered);
  if (mews::base::kIsThreadSanitized) CHECK_FALSE(is_registered);
#if defined(MEWS_STEPPED)
  CHECK_FALSE(is_registered);
#endif
  mews::os::heavy_fence();
}

TEST_CASE("os: a set MEWS_FULL_FENCE keeps a process from the light fence", "[.full-fence]") {
  // Run by the test below in a process that has never registered.
  mews_test::InOwnProgram program;
  REQUIRE(std::getenv("MEWS_FULL_FENCE") != nullptr);
  const bool is_wanted = std::string(std::getenv("MEWS_FULL_FENCE")).empty();
  const bool is_registered = mews::os::register_light_fence();
  if (!is_wanted) CHECK_FALSE(is_registered);
  CHECK(mews::os::has_light_fence() == is_registered);
  mews::os::heavy_fence();
  program.finish();
}

TEST_CASE("os: MEWS_FULL_FENCE is obeyed in a new process") {
  for (const char* value : {"", "1"}) {
    const auto run = mews_test::run_own_program(
        "[.full-fence]", {std::string("MEWS_FULL_FENCE=") + value}, os_test::kPatience);
    CHECK(run.outcome == "passed");
  }
}

TEST_CASE("os: a heavy fence orders a thread that has only compiler fences") {
  Duel duel;
  static_cast<void>(mews::os::register_light_fence());
  std::thread light([&] { be_light(duel); });
  be_heavy(duel);
  light.join();
  CHECK(duel.misses.load(std::memory_order_relaxed) == 0);
}

TEST_CASE("os: a heavy fence orders another process that has only compiler fences") {
  const auto file = mews::os::MemoryFile::create_anonymous("duel", kBytes).value();
  const auto mapping = mews::os::Mapping::map(file, kBytes).value();
  auto* duel = new (mapping.bytes().data()) Duel;
  static_cast<void>(mews::os::register_light_fence());
  os_test::Fork child([&file] {
    const auto own = mews::os::Mapping::map(file, kBytes);
    if (!own) return 2;
    be_light(*std::launder(reinterpret_cast<Duel*>(own->bytes().data())));
    return 0;
  });
  be_heavy(*duel);
  CHECK(child.outcome() == "exit code 0");
  CHECK(duel->misses.load(std::memory_order_relaxed) == 0);
}
