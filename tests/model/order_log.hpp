// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "mews/base/atomic.hpp"
#include "support/catch.hpp"

/// The orders that the library asks for, read off the announcements of its own operations. The
/// checker runs only the stronger orders of x86, and so does the machine: a missing release changes
/// nothing there. Here it shows.
namespace mews::model {

/// One operation on a word.
struct Announced {
  base::Step step;
  std::uintptr_t word;
  std::memory_order order;
};

/// Keeps the announcements of all threads while it lives. One at a time.
class OrderLog {
 public:
  OrderLog() {
    current = this;
    base::step_hook = [](base::Step step, const volatile void* word, std::size_t,
                         std::memory_order order) { current.load()->add(step, word, order); };
  }
  OrderLog(const OrderLog&) = delete;
  OrderLog& operator=(const OrderLog&) = delete;
  ~OrderLog() { base::step_hook = nullptr; }

  /// Returns the announcements since the last call.
  [[nodiscard]] std::vector<Announced> take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(all_, {});
  }

 private:
  void add(base::Step step, const volatile void* word, std::memory_order order) {
    const std::lock_guard lock(mutex_);
    all_.push_back({step, reinterpret_cast<std::uintptr_t>(word), order});
  }

  static inline std::atomic<OrderLog*> current{nullptr};
  std::mutex mutex_;
  std::vector<Announced> all_;
};

/// Words of one kind: `count` of them, `stride_bytes` apart.
struct WordKind {
  std::uintptr_t first;
  std::size_t count = 1;
  std::size_t stride_bytes = 1;

  template <class T>
  [[nodiscard]] static WordKind within(const T& object) {
    return {reinterpret_cast<std::uintptr_t>(&object), sizeof object, 1};
  }
  [[nodiscard]] bool has(std::uintptr_t word) const noexcept {
    return word >= first && (word - first) % stride_bytes == 0 &&
           (word - first) / stride_bytes < count;
  }
};

/// A row's demand on the operations on words of its kind.
enum class Which : std::uint8_t {
  every,
  one,  ///< or more
  first,
  last,      ///< what comes before it is published by it
  last_two,  ///< the same, by either of two
};

[[nodiscard]] constexpr bool is_at_least(std::memory_order order, std::memory_order least) {
  if (least == std::memory_order_relaxed || order == least) return true;
  if (order == std::memory_order_seq_cst) return true;
  return order == std::memory_order_acq_rel && least != std::memory_order_seq_cst;
}

[[nodiscard]] inline std::string name_of(std::memory_order order) {
  switch (order) {
    case std::memory_order_relaxed:
      return "relaxed";
    case std::memory_order_acquire:
      return "acquire";
    case std::memory_order_release:
      return "release";
    case std::memory_order_acq_rel:
      return "acq_rel";
    case std::memory_order_seq_cst:
      return "seq_cst";
    default:
      return "consume";
  }
}

/// Returns the fault in the orders of the operations `step` on words of `kind`; or nothing. No
/// operation at all is a fault: then the row guards nothing.
[[nodiscard]] inline std::string complaint_of(const std::vector<Announced>& all, base::Step step,
                                              const WordKind& kind, Which which,
                                              std::memory_order least) {
  std::vector<std::memory_order> orders;
  for (const auto& one : all) {
    if (one.step == step && kind.has(one.word)) orders.push_back(one.order);
  }
  const std::size_t wanted = which == Which::last_two ? 2 : 1;
  if (orders.size() < wanted) return "no such operation";
  if (which == Which::first) orders.resize(1);
  if (which == Which::one) {
    const bool is_there = std::any_of(orders.begin(), orders.end(),
                                      [&](auto order) { return is_at_least(order, least); });
    return is_there ? "" : "none of them is at least " + name_of(least);
  }
  if (which == Which::last || which == Which::last_two)
    orders.erase(orders.begin(), orders.end() - static_cast<std::ptrdiff_t>(wanted));
  for (const auto order : orders) {
    if (!is_at_least(order, least)) return name_of(order) + ", not at least " + name_of(least);
  }
  return {};
}

/// A row: in this step of the program, on words of this kind.
struct Row {
  const char* step;
  const char* word;
  base::Step operation;
  Which which;
  std::memory_order least;
};

/// Runs steps and keeps what each announces.
class Recorder {
 public:
  template <class Body>
  void run(const std::string& step, Body&& body) {
    (void)log_.take();
    body();
    steps_[step] = log_.take();
  }
  [[nodiscard]] const std::vector<Announced>& of(const std::string& step) { return steps_[step]; }

  template <class Rows>
  void check(const Rows& rows, const std::map<std::string, WordKind>& kinds) {
    for (const auto& row : rows) {
      INFO(row.step << ": " << row.word);
      REQUIRE(kinds.contains(row.word));
      CHECK(complaint_of(of(row.step), row.operation, kinds.at(row.word), row.which, row.least) ==
            "");
    }
  }

 private:
  OrderLog log_;
  std::map<std::string, std::vector<Announced>> steps_;
};

}  // namespace mews::model
