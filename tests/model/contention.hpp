// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

namespace mews::model {

/// The words that more than one thread uses and at least one writes, learnt from run to run.
///
/// A step on any other word commutes with all steps of other threads: a preemption before it equals
/// one before the next step that does not commute, so schedules that differ only in this run once.
/// The knowledge holds for a run as a whole. When a run adds to it, all earlier schedules must be
/// explored again.
class Contention {
 public:
  /// Notes a use of `word`. Returns whether it was known as such a word when the run began.
  [[nodiscard]] bool note(const volatile void* word, int thread, bool is_write) {
    auto& row = row_of(word);
    if (row.is_contended) return !row.is_new;
    row.threads |= 1u << thread;
    row.is_written = row.is_written || is_write;
    const bool is_used_by_several = (row.threads & (row.threads - 1)) != 0;
    row.is_contended = row.is_new = row.is_written && is_used_by_several;
    has_learnt_ = has_learnt_ || row.is_new;
    return false;
  }

  /// At the end of a run: returns whether it has added to the knowledge.
  [[nodiscard]] bool learn() {
    if (!has_learnt_) return false;
    for (auto& row : rows_)
      row.is_new = false;
    has_learnt_ = false;
    return true;
  }

 private:
  struct Row {
    const volatile void* word = nullptr;
    std::uint32_t threads = 0;
    bool is_written = false;
    bool is_contended = false;
    bool is_new = false;
  };

  // Open addressing; doubled when half full.
  [[nodiscard]] Row& row_of(const volatile void* word) {
    auto* row = &find(word);
    if (row->word == word) return *row;
    if (2 * ++used_ > rows_.size()) {
      std::vector<Row> old(2 * rows_.size());
      old.swap(rows_);
      for (const auto& each : old) {
        if (each.word != nullptr) find(each.word) = each;
      }
      row = &find(word);
    }
    row->word = word;
    return *row;
  }
  [[nodiscard]] Row& find(const volatile void* word) {
    auto at = (reinterpret_cast<std::uintptr_t>(word) * 0x9e3779b97f4a7c15u) >> 32;
    for (;; ++at) {
      auto& row = rows_[at & (rows_.size() - 1)];
      if (row.word == word || row.word == nullptr) return row;
    }
  }

  std::vector<Row> rows_ = std::vector<Row>(256);
  std::size_t used_ = 0;
  bool has_learnt_ = false;
};

}  // namespace mews::model
