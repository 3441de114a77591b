// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include "support/recorder.hpp"

namespace mews::bench {

/// One go: do it `operations` times. Where `each` is given, every single one is recorded.
struct Batch {
  std::uint64_t operations = 0;
  Recorder* each = nullptr;
};
using Body = std::function<void(const Batch&)>;

/// A forked process, pinned, that runs `body` once for each batch and sleeps in between. It dies
/// with its parent; should it die first, the program ends with an error.
class Companion {
 public:
  Companion(unsigned nth_cpu, Body body);
  Companion(const Companion&) = delete;
  Companion& operator=(const Companion&) = delete;
  ~Companion();

  /// Returns when the companion is awake and at its batch.
  void begin(std::uint64_t operations);
  /// Returns when it has done its batch.
  void finish();

 private:
  struct Words {
    alignas(128) std::atomic<std::uint32_t> command;
    std::uint64_t operations;
    alignas(128) std::atomic<std::uint32_t> begun;
    alignas(128) std::atomic<std::uint32_t> done;
  };
  [[noreturn]] static void serve(Words& words, unsigned nth_cpu, const Body& body);

  std::shared_ptr<Words> words_;
  std::uint32_t round_ = 0;
  pid_t pid_ = -1;
};

}  // namespace mews::bench
