// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "../support/random.hpp"
#include "mews/mem/slab_pool.hpp"
#include "support/slabs.hpp"

namespace stress {

/// One thread's use of a pool: claims slabs, signs them with its own number, holds some for a
/// while, and finds its signature unchanged when it gives them back. Two holders of one slab would
/// overwrite each other's signatures.
class SlabUser {
 public:
  /// `most`: slabs it holds at one time, roughly.
  SlabUser(mews::mem::SlabPool& pool, std::uint64_t id, std::uint64_t seed, std::size_t most)
      : pool_(&pool), random_(seed), id_(id), most_(most) {}

  /// Claims or releases one slab, or a run; a complaint, or nothing.
  [[nodiscard]] std::string step() {
    // The number held wanders between few and so many that classes are exhausted.
    if (mews_test::between(random_, 0, 999) == 0) goal_ = mews_test::between(random_, 1, most_);
    const bool is_claim = (mews_test::between(random_, 0, 3) != 0) == (held_.size() < goal_);
    if (is_claim) return claim();
    if (held_.empty()) return {};
    std::swap(held_[random_() % held_.size()], held_.back());
    return release_last();
  }

  [[nodiscard]] std::string release_all() {
    std::string complaint;
    while (!held_.empty())
      complaint += release_last();
    return complaint;
  }

  /// What `id` writes over a slab, at its start and near its end.
  struct Signature {
    std::uint64_t id;
    std::uint64_t number;
    friend bool operator==(const Signature&, const Signature&) = default;
  };

  static void sign(const mews::mem::Slab& slab, const Signature& signature) {
    std::memcpy(slab.data, &signature, sizeof signature);
    std::memcpy(slab.data + kNearEnd, &signature, sizeof signature);
  }
  [[nodiscard]] static std::string check(const mews::mem::Slab& slab, const Signature& signature) {
    for (const auto at : {std::uint64_t{0}, kNearEnd}) {
      Signature seen{};
      std::memcpy(&seen, slab.data + at, sizeof seen);
      if (seen == signature) continue;
      return "slab " + std::to_string(slab.first.value()) + " of class " +
             std::to_string(slab.size_class.value()) + ": " + std::to_string(signature.id) +
             " finds what " + std::to_string(seen.id) + " wrote";
    }
    return {};
  }

 private:
  /// Every slab of these tests is at least 4 KiB, and that much of it has memory behind it.
  static constexpr std::uint64_t kNearEnd = 4096 - sizeof(Signature);

  struct Held {
    mews::mem::Slab slab;
    Signature signature{};
  };

  [[nodiscard]] std::string claim() {
    const auto& geometry = pool_->arena().geometry();
    const auto smallest = mews_test::between(random_, 0, geometry.class_count - 1);
    const auto slab_bytes = geometry.classes[smallest].slab_bytes;
    const bool is_run = smallest + 1 == geometry.class_count && random_() % 64 == 0;
    const auto slab =
        is_run ? mews_test::try_claim(*pool_, slab_bytes * 2)
               : mews_test::try_claim(*pool_, std::max<std::uint64_t>(4096, slab_bytes / 16 + 1));
    if (!slab) {
      return slab.error().code() == mews::ErrorCode::no_slab ? "" : slab.error().message();
    }
    const auto& row = geometry.classes[slab->size_class.value()];
    if (slab->first.value() + slab->count > row.slab_count) {
      return "slab " + std::to_string(slab->first.value()) + " of a class of " +
             std::to_string(row.slab_count);
    }
    held_.push_back({*slab, {id_, ++number_}});
    sign(held_.back().slab, held_.back().signature);
    return {};
  }

  [[nodiscard]] std::string release_last() {
    const auto held = held_.back();
    held_.pop_back();
    if (auto complaint = check(held.slab, held.signature); !complaint.empty()) return complaint;
    return pool_->release(held.slab) ? "" : "a slab that is held could not be released";
  }

  mews::mem::SlabPool* pool_;
  mews_test::Random random_;
  std::uint64_t id_;
  std::uint64_t number_ = 0;
  std::size_t most_;
  std::size_t goal_ = 8;
  std::vector<Held> held_;
};

}  // namespace stress
