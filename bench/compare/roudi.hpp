// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

namespace mews::bench::compare {

/// A memory pool of iceoryx: chunks of one size.
struct ChunkPool {
  std::size_t bytes;
  std::size_t count;
};

/// The daemon of iceoryx, with just the pools of one run. It ends, and cleans up behind itself,
/// when the process that started it has ended: not earlier, as it would end all its clients first.
class RouDi {
 public:
  RouDi(const ChunkPool& requests, const ChunkPool& replies);
  [[nodiscard]] static bool is_installed();
  /// It aborts where a client has ended without a word, and leaves its memory behind.
  static void remove_remains();
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_ = -1;
};

}  // namespace mews::bench::compare
