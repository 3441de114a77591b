// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <vector>

#include "crash/payload.hpp"
#include "crash/table.hpp"
#include "mews/mews.hpp"

namespace mews_test {

/// Every slab that can be had now. Largest first: then none is taken by a request that its own
/// class could have served.
[[nodiscard]] inline std::vector<mews::Loan> lend_everything(mews::Channel& channel) {
  std::vector<mews::Loan> loans;
  for (const auto size : {kLarge, kHomed, kMiddle, kSmall}) {
    for (;;) {
      auto loan = channel.try_loan(size);
      if (!loan) break;
      loans.push_back(std::move(*loan));
    }
  }
  return loans;
}

/// Writes what no message says: whoever still reads one of these slabs will notice.
inline void overwrite(std::span<mews::Loan> loans) {
  constexpr std::uint64_t kNoMessage = std::uint64_t{1} << 40;
  for (std::size_t i = 0; i < loans.size(); ++i)
    fill(loans[i].bytes(), kNoMessage + i);
}

}  // namespace mews_test
