// SPDX-License-Identifier: MIT
#pragma once

#include <utility>
#include <version>

#include "mews/error.hpp"
#include "mews/link.hpp"
#include "mews/message.hpp"

// A compiler without them finds nothing here.
#if defined(__cpp_impl_coroutine) && defined(__cpp_lib_coroutine)
#include <coroutine>

namespace mews::inline MEWS_LAYOUT {

namespace detail {

class ReplyAwaiter {
 public:
  explicit ReplyAwaiter(PendingReply&& reply) noexcept : reply_(std::move(reply)) {}
  ReplyAwaiter(const ReplyAwaiter&) = delete;
  ReplyAwaiter& operator=(const ReplyAwaiter&) = delete;

  [[nodiscard]] bool await_ready() { return reply_.is_empty() || reply_.is_ready(); }
  // Another thread that dispatches may resume, and destroy, the coroutine before this returns.
  [[nodiscard]] bool await_suspend(std::coroutine_handle<> waiting) {
    return reply_.on_ready([waiting] { waiting.resume(); });
  }
  [[nodiscard]] Result<Message> await_resume() { return reply_.get(); }

 private:
  PendingReply reply_;
};

}  // namespace detail

/// Awaits a call's reply in a coroutine of any type: `auto reply = co_await std::move(pending);`
/// gives what `PendingReply::get` returns. For programs without Asio; `mews/asio.hpp` has more.
///
/// The coroutine goes on in the thread that calls `Link::dispatch`, inside that call. Nothing
/// else resumes it: the loop must call `dispatch` as long as it waits. It may use the link, and
/// start and await more calls.
///
/// The call's deadline is the loop's to keep, by a timer of its own: `dispatch` resumes the
/// coroutine only when the reply has come or the other end is gone. Once the deadline has passed
/// the loop may resume it by its handle, in the thread that dispatches: it gets `timed_out` then.
/// Resumed before the deadline, it blocks until then.
///
/// The frame may be destroyed while it is suspended, in the thread that dispatches: the pending
/// reply is dropped, so the call is cancelled, and the frame is not resumed any more.
///
/// Death: when the other end is gone, `dispatch` resumes it, with `peer_died` and the like. With a
/// `CallOptions::retry` the call is then made again, and that blocks.
///
/// Does not block otherwise. May throw `std::bad_alloc`.
[[nodiscard]] inline detail::ReplyAwaiter operator co_await(PendingReply&& reply) noexcept {
  return detail::ReplyAwaiter(std::move(reply));
}

}  // namespace mews::inline MEWS_LAYOUT

#endif
