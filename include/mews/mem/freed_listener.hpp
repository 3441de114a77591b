// SPDX-License-Identifier: MIT
#pragma once

#include "mews/ids.hpp"

namespace mews::inline MEWS_LAYOUT::mem {

/// Hears that slabs have become free, and wakes the threads that wait for one.
class FreedListener {
 public:
  /// Called on the thread that freed, after the truth words say so by a seq_cst exchange; once for
  /// each call of the pool, however many slabs of the class that call freed.
  virtual void on_freed(ClassId id) noexcept = 0;

 protected:
  ~FreedListener() = default;
};

}  // namespace mews::inline MEWS_LAYOUT::mem
