// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace mews::model {

/// Names for words, for traces.
class Words {
 public:
  /// `count` words of T, `stride_bytes` apart, the first at `first`.
  template <class T>
  void add(std::string name, const T* first, std::size_t count = 1,
           std::size_t stride_bytes = sizeof(T)) {
    rows_.push_back(
        {std::move(name), reinterpret_cast<std::uintptr_t>(first), count, stride_bytes, false});
  }
  /// All words within an object: one name for all of them.
  template <class T>
  void add_object(std::string name, const T& object) {
    rows_.push_back(
        {std::move(name), reinterpret_cast<std::uintptr_t>(&object), sizeof object, 1, true});
  }

  [[nodiscard]] std::string name_of(const volatile void* word) const {
    const auto [row, index] = find(word);
    if (row == nullptr) return "an unnamed word";
    const bool is_alone = row->count == 1 || row->is_object;
    return is_alone ? row->name : row->name + "[" + std::to_string(index) + "]";
  }
  /// With the offset in an object.
  [[nodiscard]] std::string full_name_of(const volatile void* word) const {
    const auto [row, index] = find(word);
    const bool is_in_object = row != nullptr && row->is_object;
    return name_of(word) + (is_in_object ? "+" + std::to_string(index) : "");
  }

 private:
  struct Row {
    std::string name;
    std::uintptr_t first;
    std::size_t count;
    std::size_t stride_bytes;
    bool is_object;
  };

  [[nodiscard]] std::pair<const Row*, std::size_t> find(const volatile void* word) const {
    const auto at = reinterpret_cast<std::uintptr_t>(word);
    for (const auto& row : rows_) {
      if (at < row.first || (at - row.first) % row.stride_bytes != 0) continue;
      const auto index = (at - row.first) / row.stride_bytes;
      if (index < row.count) return {&row, index};
    }
    return {nullptr, 0};
  }

  std::vector<Row> rows_;
};

/// The value of a word of `bytes` (at most 8), read and written behind the checker's back.
inline std::uint64_t peek(const volatile void* word, std::size_t bytes) noexcept {
  std::uint64_t value = 0;
  std::memcpy(&value, const_cast<const void*>(word), bytes);
  return value;
}
inline void poke(volatile void* word, std::size_t bytes, std::uint64_t value) noexcept {
  std::memcpy(const_cast<void*>(word), &value, bytes);
}

}  // namespace mews::model
