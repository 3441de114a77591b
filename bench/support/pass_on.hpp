// SPDX-License-Identifier: MIT
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <type_traits>

#include "support/lane_end.hpp"

namespace mews::bench {

/// Handles of memory from one process to the other, at most some 200 on their way.
template <class Handle>
class PassOn {
 public:
  static_assert(std::is_trivially_copyable_v<Handle> && sizeof(Handle) <= 32);

  PassOn()
      : lane_(make_shared_block<LaneBlock<256>>()),
        writer_(lane_->state, lane_->cells, Wake::never),
        reader_(lane_->state, lane_->cells, Wake::never) {}

  void put(const Handle& handle) {
    writer_.stage(std::as_bytes(std::span(&handle, 1)));
    writer_.publish();
  }
  [[nodiscard]] Handle get() {
    Handle handle;
    reader_.receive([&](std::span<const std::byte> bytes) {
      std::memcpy(&handle, bytes.data(), sizeof handle);
    });
    return handle;
  }

 private:
  std::shared_ptr<LaneBlock<256>> lane_;
  LaneWriter writer_;
  LaneReader reader_;
};

/// `allocate()` here, `free(handle)` there.
template <class Handle, class Allocate, class Free>
CasePtr pass_on_case(Allocate allocate, Free free) {
  auto way = std::make_shared<PassOn<Handle>>();
  return pair_case(
      [=](const Batch& batch) mutable { repeat(batch, [&] { way->put(allocate()); }); },
      [=](const Batch& batch) mutable { repeat(batch, [&] { free(way->get()); }); });
}

}  // namespace mews::bench
