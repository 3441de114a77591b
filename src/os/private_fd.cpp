// SPDX-License-Identifier: MIT
#include "mews/os/private_fd.hpp"

#include <pthread.h>

#include <mutex>

namespace mews::inline MEWS_LAYOUT::os {

/// All objects of this process. The mutex is held across each fork: the child finds the list whole.
struct PrivateFd::Registry {
  std::mutex mutex;
  PrivateFd* first = nullptr;

  static Registry& get() noexcept {
    // Never destroyed: descriptors of static objects may go after it.
    alignas(Registry) static std::byte place[sizeof(Registry)];
    static Registry* const registry = [] {
      auto* made = new (place) Registry;
      // Fails only without memory; then a child's copies stay open.
      (void)::pthread_atfork([] { get().mutex.lock(); }, [] { get().mutex.unlock(); },
                             [] { get().in_child(); });
      return made;
    }();
    return *registry;
  }

  void in_child() noexcept {
    while (first != nullptr) {
      auto* entry = first;
      first = entry->next_;
      entry->previous_ = entry->next_ = nullptr;
      entry->fd_.reset();
    }
    mutex.unlock();
  }
};

void PrivateFd::join() noexcept {
  if (!fd_) return;
  auto& registry = Registry::get();
  const std::lock_guard lock(registry.mutex);
  next_ = registry.first;
  if (next_ != nullptr) next_->previous_ = this;
  registry.first = this;
}

UniqueFd PrivateFd::leave() noexcept {
  if (!fd_) return {};
  auto& registry = Registry::get();
  const std::lock_guard lock(registry.mutex);
  if (previous_ != nullptr) previous_->next_ = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
  if (registry.first == this) registry.first = next_;
  previous_ = next_ = nullptr;
  return std::move(fd_);
}

PrivateFd::PrivateFd(UniqueFd fd) noexcept : fd_(std::move(fd)) {
  join();
}
PrivateFd::PrivateFd(PrivateFd&& other) noexcept : fd_(other.leave()) {
  join();
}
PrivateFd& PrivateFd::operator=(PrivateFd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.leave();
    join();
  }
  return *this;
}
PrivateFd::~PrivateFd() {
  reset();
}

// Closed outside the mutex, which a fork waits for.
void PrivateFd::reset() noexcept {
  const auto closing = leave();
}

}  // namespace mews::inline MEWS_LAYOUT::os
