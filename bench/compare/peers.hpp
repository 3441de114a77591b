// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "compare/driver.hpp"
#include "compare/job.hpp"

namespace mews::bench::compare {

/// A peer in the tables. Each source peer_*.cpp of this folder adds its own, if what it needs was
/// found when the program was built.
struct Peer {
  std::string name;
  int rank = 0;                                    ///< its place in lists
  std::function<std::string(const Job&)> refusal;  ///< why it cannot do this; empty: it can
  std::function<void(const Job&, Outcome&)> run;
  bool is_limit = false;                ///< a yardstick, against which nobody wins or loses
  std::function<void()> clean_up = {};  ///< once all processes of a run have ended
};

[[nodiscard]] std::vector<Peer>& peers();

template <Transport T>
bool add_peer(std::string name, int rank, bool is_limit = false) {
  const auto refusal = [](const Job& job) -> std::string {
    if (job.work == Work::killed && !Recovering<T>) return "its host is not told of a death";
    return T::refusal(job.setup);
  };
  Peer peer{std::move(name), rank, refusal, run_job<T>, is_limit};
  if constexpr (Attended<T>) peer.clean_up = T::clean_up;
  peers().push_back(std::move(peer));
  return true;
}

}  // namespace mews::bench::compare
