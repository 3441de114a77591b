// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <string_view>
#include <system_error>
#include <tl/expected.hpp>
#include <type_traits>
#include <utility>

#include "mews/base/visible.hpp"

namespace MEWS_VISIBLE mews {
inline namespace MEWS_LAYOUT {

/// The kind of a failure, for a program to decide by. `to_string` names it.
enum class ErrorCode : std::uint8_t {
  // waiting
  would_block,  ///< a `try_` call found nothing to receive or no room; nothing changed
  timed_out,    ///< the deadline passed; the detail says which process it waited for
  cancelled,    ///< the caller's own stop token ended the wait
  // life and death
  peer_died,       ///< the process at the other end is gone
  host_died,       ///< the host is gone, and with it the arena's future
  closed,          ///< the other end closed the channel in good order, or this end did
  peer_corrupt,    ///< the other end wrote nonsense, as no correct peer does; it is cut off
  concurrent_use,  ///< a second thread is in the same role of the same channel right now
  wrong_process,   ///< this process is a fork of the one that made the session
  // calls
  failed,      ///< the other end's program answered the call with a failure of its own
  unanswered,  ///< the other end's program dropped the call without an answer
  reset,       ///< one end gave the stream up before both had finished
  // memory
  payload_too_large,  ///< no configuration of this arena can hold it
  no_slab,            ///< every slab that may serve the request is in use
  out_of_memory,      ///< the system is out of memory, or of address space
  // attaching
  no_such_arena,      ///< nothing of that name, or no arena was passed to this process
  permission_denied,  ///< the system, or the same-user rule, forbids it
  not_an_arena,       ///< wrong magic: this memory is something else
  version_mismatch,   ///< made by a library with another layout version
  not_ready,          ///< its creator had not finished by the deadline
  bad_geometry,       ///< the header contradicts itself or the mapping; the detail names the field
  too_many_peers,     ///< every peer entry is in use
  already_exists,     ///< a living host already owns that name
  // asking
  invalid_argument,  ///< the detail says which and why
  spawn_failed,      ///< the program could not be started; errno and path are given
  os_error,          ///< a system call failed; errno and call are given
};

/// Returns the enumerator's name, e.g. "timed_out". Never null, never empty.
[[nodiscard]] MEWS_VISIBLE std::string_view to_string(ErrorCode code) noexcept;
/// The same, for streams and for fmt from version 10 on.
MEWS_VISIBLE std::ostream& operator<<(std::ostream& stream, ErrorCode code);
[[nodiscard]] inline std::string_view format_as(ErrorCode code) noexcept {
  return to_string(code);
}

/// The category "mews" of `std::error_code`. Its values are one above the enumerators', as 0 is no
/// error there. They are equivalent to the `std::errc` of the same meaning, where there is one:
///
/// would_block        resource_unavailable_try_again, operation_would_block
/// timed_out          timed_out              cancelled           operation_canceled
/// peer_died          connection_reset       host_died           connection_reset
/// reset              connection_aborted
/// closed             broken_pipe            peer_corrupt        bad_message
/// payload_too_large  message_size           no_slab             no_buffer_space
/// out_of_memory      not_enough_memory      permission_denied   permission_denied
/// no_such_arena      no_such_file_or_directory                  already_exists  file_exists
/// invalid_argument   invalid_argument
[[nodiscard]] MEWS_VISIBLE const std::error_category& error_category() noexcept;
[[nodiscard]] MEWS_VISIBLE std::error_code make_error_code(ErrorCode code) noexcept;

/// Returns the text that `build()` makes for an error's detail; an empty one when there is no
/// memory for it. Where exceptions are off, the program ends then.
template <class Build>
[[nodiscard]] std::string detail_text(Build&& build) noexcept {
#if defined(__cpp_exceptions)
  try {
    return build();
  } catch (...) {
    return {};
  }
#else
  return build();
#endif
}

/// A failure that a caller can act on, and that prints as one sentence.
///
/// Cheap where failing is ordinary: `would_block` allocates nothing.
///
/// A function that returns a `Result` throws nothing. When the process itself is out of memory the
/// code is `out_of_memory`, or the true one with an empty detail. Functions that
/// return a text, figures or names as such (`message`, `Session::stats`, `Plugin::exit`,
/// `default_size_classes`), and `Session::process_events`, which makes such texts,
/// need memory for them and throw `std::bad_alloc`, as any container does.
class Error {
 public:
  explicit Error(ErrorCode code) noexcept : code_(code) {}
  Error(ErrorCode code, std::string detail) noexcept : code_(code), detail_(std::move(detail)) {}
  Error(ErrorCode code, const char* detail) noexcept;
  Error(ErrorCode code, int os_errno, std::string detail) noexcept
      : code_(code), os_errno_(os_errno), detail_(std::move(detail)) {}

  /// A failed system call: `call` is its name, `subject` what it was applied to.
  [[nodiscard]] static Error os(int os_errno, std::string_view call,
                                std::string_view subject = {}) noexcept;

  [[nodiscard]] ErrorCode code() const noexcept { return code_; }
  /// Returns the system's errno if a system call failed, otherwise 0.
  [[nodiscard]] int os_errno() const noexcept { return os_errno_; }
  /// Of a call of a `Link`: returns whether the other end's program had got it, so that it may have
  /// been carried out in part or whole. With `peer_died`, `host_died` and `closed`, and where the
  /// other end refused it, false is final: it was not begun, and will not be. With `timed_out` and
  /// `cancelled` it may still be begun, until the other end has heard of that.
  [[nodiscard]] bool was_started() const noexcept { return was_started_; }
  void set_started(bool was_started) noexcept { was_started_ = was_started; }
  /// Returns the particulars of this case; may be empty.
  [[nodiscard]] const std::string& detail() const noexcept { return detail_; }
  /// Returns one sentence: what failed, on what, and where it helps, what to do.
  [[nodiscard]] std::string message() const;
  /// For code that knows `std::error_code` only; the detail is lost. For `os_error` the system's
  /// errno in the system's category, otherwise the code in the category "mews".
  [[nodiscard]] std::error_code error_code() const noexcept;

 private:
  ErrorCode code_;
  bool was_started_ = false;
  int os_errno_ = 0;
  std::string detail_;
};

/// Writes `message()`.
MEWS_VISIBLE std::ostream& operator<<(std::ostream& stream, const Error& error);
/// For fmt, from version 10 on: `fmt::print("{}", error)`.
[[nodiscard]] inline std::string format_as(const Error& error) {
  return error.message();
}

/// A value, or the reason why there is none.
template <class T>
using Result = tl::expected<T, Error>;

/// A `Result` of a plugin's or a session's handle, which must be kept: its channel ends with it. So
/// `auto& channel = host.spawn(..)->channel()` does not compile: `->` asks for a result with a
/// name. Otherwise as a `Result`, to which it also converts.
template <class T>
class [[nodiscard]] HandleResult : public tl::expected<T, Error> {
  using Plain = tl::expected<T, Error>;

 public:
  using Plain::Plain;
  HandleResult(Plain&& result) noexcept : Plain(std::move(result)) {}  // NOLINT: it is the same

  [[nodiscard]] T* operator->() & noexcept { return Plain::operator->(); }
  [[nodiscard]] const T* operator->() const& noexcept { return Plain::operator->(); }
  T* operator->() && = delete;
  const T* operator->() const&& = delete;
};

/// `return fail(ErrorCode::closed);` in a function that returns a `Result`.
template <class... Args>
[[nodiscard]] tl::unexpected<Error> fail(Args&&... args) noexcept {
  return tl::unexpected<Error>(Error(std::forward<Args>(args)...));
}

}  // namespace MEWS_LAYOUT
}  // namespace mews

template <>
struct std::is_error_code_enum<mews::ErrorCode> : std::true_type {};
