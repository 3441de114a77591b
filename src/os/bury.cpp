// SPDX-License-Identifier: MIT
#include <mutex>
#include <vector>

#include "mews/os/process.hpp"

namespace mews::inline MEWS_LAYOUT::os {
namespace {

constexpr std::chrono::seconds kUntilGone{5};

/// Children of this process that could not be reaped yet.
struct Unburied {
  std::mutex mutex;
  std::vector<UniqueFd> children;

  void sweep_and_add(UniqueFd child) {
    const std::lock_guard lock(mutex);
    std::erase_if(children, [](const UniqueFd& other) {
      return reap(other.get()) || !is_reapable(other.get());
    });
    if (child) children.push_back(std::move(child));
  }
};

/// Never destroyed: a thread may bury a child while the process ends.
Unburied& unburied() {
  static auto* const list = new Unburied;
  return *list;
}

}  // namespace

bool bury(UniqueFd child) {
  const bool is_gone = wait_for_exit(child.get(), kUntilGone);
  bury_later(std::move(child));
  return is_gone;
}

void bury_later(UniqueFd child) {
  if (reap(child.get()) || !is_reapable(child.get())) child.reset();
  unburied().sweep_and_add(std::move(child));
}

}  // namespace mews::inline MEWS_LAYOUT::os
