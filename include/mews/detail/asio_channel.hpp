// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <utility>

#include "mews/channel.hpp"
#include "mews/detail/asio_operation.hpp"

namespace mews::inline MEWS_LAYOUT::detail::inline MEWS_ASIO_FLAVOUR {

/// A channel in an event loop of Asio.
class AsioChannelLoop final : public AsioLoop {
 public:
  AsioChannelLoop(const net::any_io_executor& executor, Channel channel)
      : AsioLoop(executor), channel_(std::move(channel)) {}

  [[nodiscard]] Channel& channel() noexcept { return channel_; }
  AsioOperation::List receives;  ///< in the order in which they began

 private:
  void take_in() override;
  [[nodiscard]] Result<bool> arm() override { return channel_.arm_event(); }
  [[nodiscard]] int event_fd() const override { return channel_.event_fd(); }
  [[nodiscard]] bool has_operations() const noexcept override { return !receives.empty(); }
  void cancel_all() override {
    for_each(receives, [](AsioOperation& operation) { operation.cancel(); });
  }
  void abandon_all(const Error& why) override {
    for_each(receives, [&why](AsioOperation& operation) { operation.abandon(why); });
  }

  Channel channel_;
};

/// A wait for a message.
class AsioReceive : public AsioOutcome<Message> {
 public:
  AsioReceive(const std::shared_ptr<AsioChannelLoop>& loop, Deadline deadline)
      : AsioOutcome(loop, deadline), receives_(loop->receives) {}
  void begin() override { enter(receives_); }

 private:
  List& receives_;
};

inline void AsioChannelLoop::take_in() {
  while (!receives.empty()) {
    auto message = channel_.try_receive();
    if (!message && message.error().code() == ErrorCode::would_block) return;
    static_cast<AsioReceive&>(*receives.front()).finish(std::move(message));
  }
}

}  // namespace mews::inline MEWS_LAYOUT::detail::inline MEWS_ASIO_FLAVOUR
