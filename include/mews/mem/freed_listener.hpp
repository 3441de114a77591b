// SPDX-License-Identifier: MIT
#pragma once

#include "mews/ids.hpp"

namespace mews::inline MEWS_LAYOUT::mem {

/// Is told that slabs have become free, so that it wakes whoever waits for one.
class FreedListener {
 public:
  /// On the thread that freed, after the truth words say so by a seq_cst exchange; once a call of
  /// the pool, however many slabs of the class that freed.
  virtual void on_freed(ClassId id) noexcept = 0;

 protected:
  ~FreedListener() = default;
};

}  // namespace mews::inline MEWS_LAYOUT::mem
