// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "support/case.hpp"

namespace mews::bench::compare {

/// A general allocator of one process's memory.
struct Heap {
  void* (*allocate)(std::size_t) = nullptr;
  void (*release)(void*) = nullptr;
};

/// Of a shared library that is loaded beside the C library's own; nothing if it is not there.
/// Linked in the usual way, it would take the place of every malloc of this program.
[[nodiscard]] std::optional<Heap> load_heap(const char* const* libraries, const char* allocate,
                                            const char* release);

/// Allocate, write the first word, release.
[[nodiscard]] CasePtr heap_alone(const Heap& heap, std::size_t bytes);
/// Released by another thread, on another processor.
[[nodiscard]] CasePtr heap_released_there(const Heap& heap, std::size_t bytes);

/// The node allocator of Boost.Interprocess, in a managed segment: alone, and released by another
/// process. Only sizes of `class_bytes`.
[[nodiscard]] CasePtr node_alone(std::size_t bytes);
[[nodiscard]] CasePtr node_released_there(std::size_t bytes);

}  // namespace mews::bench::compare
