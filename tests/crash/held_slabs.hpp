// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "crash/payload.hpp"
#include "crash/table.hpp"
#include "mews/mews.hpp"

namespace mews_test {

/// Slabs that a process takes at its start and keeps: one of each class. It can say what it has.
class HeldSlabs {
 public:
  struct Statement {
    std::uint32_t slabs;    ///< it holds so many
    std::uint32_t damaged;  ///< of these somebody else has written into so many
  };

  explicit HeldSlabs(mews::Channel& channel) {
    for (const auto size : {kSmall, kMiddle, kHomed, kLarge}) {
      auto loan = channel.loan(size, std::chrono::seconds(20));
      if (!loan) continue;  // the statement will say so
      fill(loan->bytes(), kFirst + loans_.size());
      loans_.push_back(std::move(*loan));
    }
  }

  [[nodiscard]] Statement state() const {
    Statement statement{.slabs = static_cast<std::uint32_t>(loans_.size()), .damaged = 0};
    for (std::size_t i = 0; i < loans_.size(); ++i) {
      if (fault_of(loans_[i].bytes(), kFirst + i)) ++statement.damaged;
    }
    return statement;
  }

  static constexpr std::uint32_t kSlabs = 4;

 private:
  static constexpr std::uint64_t kFirst = std::uint64_t{1} << 32;
  std::vector<mews::Loan> loans_;
};

}  // namespace mews_test
