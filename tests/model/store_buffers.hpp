// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "model/words.hpp"  // peek and poke

namespace mews::model {

/// For each thread, its stores that others do not see yet, oldest first (x86-TSO).
///
/// The code under test stores to memory itself. So before a store the old value is noted, and as
/// soon as the thread comes back the old value is restored and the new one kept here; a load of a
/// buffered word sees the thread's own value in the same way.
class StoreBuffers {
 public:
  explicit StoreBuffers(std::size_t threads) : buffers_(threads) {}

  void clear() {
    for (auto& buffer : buffers_)
      buffer.clear();
    pending_ = {};
  }

  [[nodiscard]] bool is_empty(int thread) const { return at(thread).empty(); }

  /// The running thread is about to store to `word`, or to load it.
  void begin_store(int thread, const volatile void* word, std::size_t bytes) {
    begin(thread, word, bytes, true);
  }
  void begin_load(int thread, const volatile void* word) {
    for (auto entry = at(thread).rbegin(); entry != at(thread).rend(); ++entry) {
      if (entry->word != word) continue;
      begin(thread, word, entry->bytes, false);
      poke(entry->word, entry->bytes, entry->value);
      return;
    }
  }

  /// The running thread has done so: restores the value for the others.
  void settle() {
    if (pending_.word == nullptr) return;
    const auto now = peek(pending_.word, pending_.bytes);
    poke(pending_.word, pending_.bytes, pending_.value);
    if (is_store_) at(thread_).push_back({pending_.word, pending_.bytes, now});
    pending_ = {};
  }

  void drain_one(int thread) {
    auto& buffer = at(thread);
    poke(buffer.front().word, buffer.front().bytes, buffer.front().value);
    buffer.pop_front();
  }
  void drain(int thread) {
    while (!is_empty(thread))
      drain_one(thread);
  }
  void drain_all() {
    for (int i = 0; i < static_cast<int>(buffers_.size()); ++i)
      drain(i);
  }

 private:
  struct Entry {
    volatile void* word = nullptr;
    std::size_t bytes = 0;
    std::uint64_t value = 0;
  };

  [[nodiscard]] std::deque<Entry>& at(int i) { return buffers_[static_cast<std::size_t>(i)]; }
  [[nodiscard]] const std::deque<Entry>& at(int i) const {
    return buffers_[static_cast<std::size_t>(i)];
  }

  void begin(int thread, const volatile void* word, std::size_t bytes, bool is_store) {
    pending_ = {const_cast<volatile void*>(word), bytes, peek(word, bytes)};
    thread_ = thread;
    is_store_ = is_store;
  }

  std::vector<std::deque<Entry>> buffers_;
  Entry pending_;
  int thread_ = 0;
  bool is_store_ = false;
};

}  // namespace mews::model
