// SPDX-License-Identifier: MIT
#pragma once

#include "mews/os/unique_fd.hpp"

namespace mews::inline MEWS_LAYOUT::os {

/// Owns a descriptor that a child made by `fork` must not keep: there it is closed at once, and
/// this object is empty. Otherwise a lock, a listener or a stream, whose end tells others of this
/// process's end, would live on in a child that was forked without exec.
///
/// Not thread-safe, as a `unique_ptr` is not; but any thread may fork at any time. A child made by
/// the bare system call keeps its copies until it ends or calls exec.
class PrivateFd {
 public:
  PrivateFd() noexcept = default;
  explicit PrivateFd(UniqueFd fd) noexcept;
  PrivateFd(PrivateFd&& other) noexcept;
  PrivateFd& operator=(PrivateFd&& other) noexcept;
  ~PrivateFd();

  [[nodiscard]] int get() const noexcept { return fd_.get(); }
  [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(fd_); }
  void reset() noexcept;

 private:
  struct Registry;
  void join() noexcept;
  [[nodiscard]] UniqueFd leave() noexcept;

  UniqueFd fd_;
  // In the registry, a list guarded by its mutex, while this object has a descriptor.
  PrivateFd* previous_ = nullptr;
  PrivateFd* next_ = nullptr;
};

}  // namespace mews::inline MEWS_LAYOUT::os
