// SPDX-License-Identifier: MIT
#include "support/slab_cases.hpp"

#include <unistd.h>

#include <array>
#include <optional>

#include "mews/mem/arena.hpp"
#include "mews/mem/slab_pool.hpp"
#include "support/pass_on.hpp"

namespace mews::bench {
namespace {

constexpr PeerId kFirstPeer{0};
constexpr PeerId kSecondPeer{1};
constexpr LaneId kLane{0};

/// An arena as each of its processes sees it: made here before the others are forked, mapped by
/// each of them at its first use (a mapping does not survive a fork).
class SharedPool {
 public:
  SharedPool() {
    std::vector<layout::ClassPlan> classes;
    for (const auto bytes : class_bytes()) {
      classes.push_back({bytes, bytes > (1u << 20) ? 256u : 4096u});
    }
    auto plan = layout::plan_geometry(
        {.peer_capacity = 8, .ring_cells = 1024, .fallback_classes = 1, .classes = classes});
    require(!plan.fault, "the plan of the arena");
    plan.geometry.arena_id[0] = static_cast<std::uint64_t>(::getpid());
    auto file = must(os::MemoryFile::create_anonymous("mews-bench", plan.geometry.arena_bytes));
    fd_ = ::dup(file.fd());
    creator_ = ::getpid();
    arena_.emplace(must(mem::Arena::create(std::move(file), plan.geometry)));
    pool_ = std::make_unique<mem::SlabPool>(*arena_, kFirstPeer);
  }
  SharedPool(const SharedPool&) = delete;
  SharedPool& operator=(const SharedPool&) = delete;
  ~SharedPool() { ::close(fd_); }

  [[nodiscard]] mem::SlabPool& of(PeerId self) {
    if (self != pool_->self() && ::getpid() != creator_) {
      pool_.reset();
      auto file = os::MemoryFile::adopt(os::UniqueFd(::dup(fd_)));
      arena_.emplace(must(mem::Arena::attach(std::move(file), std::chrono::seconds(5))));
      pool_ = std::make_unique<mem::SlabPool>(*arena_, self);
    }
    return *pool_;
  }

 private:
  int fd_ = -1;
  pid_t creator_ = 0;
  std::optional<mem::Arena> arena_;
  std::unique_ptr<mem::SlabPool> pool_;
};

ClassId class_of(std::uint64_t bytes) {
  const auto& all = class_bytes();
  for (std::uint32_t i = 0; i < all.size(); ++i) {
    if (all[i] == bytes) return ClassId{i};
  }
  fail("no such size class");
}

// Described in place, as a loan is: copying it would be part of the measurement.
void claim(mem::Slab& slab, mem::SlabPool& pool, std::uint64_t bytes) {
  require(pool.try_claim(slab, bytes).has_value(), "a size class ran out of slabs");
  *reinterpret_cast<volatile std::uint64_t*>(slab.data) = slab.word;
}

void read_header(const mem::Slab& slab, std::uint64_t expected) {
  require(*reinterpret_cast<volatile std::uint64_t*>(slab.data) == expected,
          "a slab's header arrived changed");
}

}  // namespace

const std::vector<std::uint64_t>& class_bytes() {
  static const std::vector<std::uint64_t> all = [] {
    std::vector<std::uint64_t> powers;
    for (std::uint64_t bytes = 1024; bytes <= 16u << 20; bytes *= 4)
      powers.push_back(bytes);
    return powers;
  }();
  return all;
}

CasePtr slab_alone(std::uint64_t bytes) {
  auto shared = std::make_shared<SharedPool>();
  return local_case([shared, bytes](const Batch& batch) {
    auto& pool = shared->of(kFirstPeer);
    mem::Slab slab;
    repeat(batch, [&] {
      claim(slab, pool, bytes);
      pool.release(slab);
    });
  });
}

CasePtr slab_freed_there(std::uint64_t bytes) {
  auto shared = std::make_shared<SharedPool>();
  const auto id = class_of(bytes);
  struct Handle {
    std::uint64_t word;
    std::uint32_t index;
  };
  const auto allocate = [=] {
    mem::Slab slab;
    claim(slab, shared->of(kFirstPeer), bytes);
    return Handle{slab.word, slab.first.value()};
  };
  const auto free = [=](const Handle& handle) {
    auto& pool = shared->of(kSecondPeer);
    const auto& view = pool.arena().view(id);
    mem::Slab slab{
        .size_class = id, .first = SlabIndex{handle.index}, .count = 1, .word = handle.word};
    slab.data = view.slabs + handle.index * view.geometry.slab_bytes;
    // As a receiver does: slabs are closed to a process until it first uses their chunk.
    if (view.backing[handle.index].load(std::memory_order_relaxed) < mem::kOpenSlab) {
      require(pool.arena().open_slabs(id, slab.first, 1).has_value(), "a slab could not be opened");
    }
    read_header(slab, handle.word);
    require(pool.release(slab), "a slab that was passed on could not be freed");
  };
  return pass_on_case<Handle>(allocate, free);
}

CasePtr slab_handed_over(std::uint64_t bytes) {
  auto shared = std::make_shared<SharedPool>();
  const auto id = class_of(bytes);
  struct Handle {
    std::uint64_t header;
    std::uint32_t index;
    std::uint32_t generation;
  };
  const auto allocate = [=] {
    auto& pool = shared->of(kFirstPeer);
    mem::Slab slab;
    claim(slab, pool, bytes);
    const auto header = slab.word;
    require(pool.mark_in_flight(slab, kLane), "a slab could not be sent");
    return Handle{header, slab.first.value(), layout::TruthWord::unpack(slab.word).generation};
  };
  const auto free = [=](const Handle& handle) {
    auto& pool = shared->of(kSecondPeer);
    const mem::SlabHandle named{.size_class = id.value(),
                                .index = handle.index,
                                .generation = handle.generation,
                                .bytes = bytes};
    mem::Slab slab;
    require(!pool.accept(slab, named, kLane, kFirstPeer), "a slab could not be taken");
    read_header(slab, handle.header);
    pool.release(slab);
  };
  return pass_on_case<Handle>(allocate, free);
}

CasePtr slab_churn(unsigned processes, std::uint64_t bytes) {
  auto shared = std::make_shared<SharedPool>();
  return crowd_case(processes, [=](unsigned nth) -> Body {
    return
        [=, held = std::array<mem::Slab, 16>(), next = std::size_t{0}](const Batch& batch) mutable {
          auto& pool = shared->of(PeerId{nth});
          repeat(batch, [&] {
            auto& oldest = held[next++ % held.size()];
            if (oldest.count != 0) {
              read_header(oldest, oldest.word);
              pool.release(oldest);
            }
            claim(oldest, pool, bytes);
          });
        };
  });
}

}  // namespace mews::bench
