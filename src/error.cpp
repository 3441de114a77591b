// SPDX-License-Identifier: MIT
#include "mews/error.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <ostream>

namespace mews::inline MEWS_LAYOUT {
namespace {

struct Text {
  std::string_view name;
  std::string_view sentence;
};

Text text_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::would_block:
      return {"would_block", "no message, room or slab right now"};
    case ErrorCode::timed_out:
      return {"timed_out", "the deadline passed"};
    case ErrorCode::cancelled:
      return {"cancelled", "the wait was cancelled by its stop token"};
    case ErrorCode::peer_died:
      return {"peer_died", "the process at the other end died"};
    case ErrorCode::host_died:
      return {"host_died", "the host process died"};
    case ErrorCode::closed:
      return {"closed", "the channel is closed"};
    case ErrorCode::peer_corrupt:
      return {"peer_corrupt", "the other end wrote invalid data and was cut off"};
    case ErrorCode::concurrent_use:
      return {"concurrent_use",
              "another thread is in the same role of this channel; Channel::shared() lets many "
              "threads send, but only one thread at a time may receive"};
    case ErrorCode::wrong_process:
      return {
          "wrong_process",
          "this process is a fork of the one that made the session and does not have the arena; "
          "let it exec a program, or attach by socket or name"};
    case ErrorCode::failed:
      return {"failed", "the call failed"};
    case ErrorCode::unanswered:
      return {"unanswered", "the call was dropped without an answer"};
    case ErrorCode::reset:
      return {"reset", "the stream was given up before its end"};
    case ErrorCode::payload_too_large:
      return {"payload_too_large",
              "the payload is larger than this arena can hold; CreateOptions::size_classes sets "
              "the limit"};
    case ErrorCode::no_slab:
      return {"no_slab", "every suitable slab is in use"};
    case ErrorCode::out_of_memory:
      return {"out_of_memory", "the system is out of memory"};
    case ErrorCode::no_such_arena:
      return {"no_such_arena", "there is no such arena"};
    case ErrorCode::permission_denied:
      return {"permission_denied", "permission denied"};
    case ErrorCode::not_an_arena:
      return {"not_an_arena", "this memory is not a mews arena"};
    case ErrorCode::version_mismatch:
      return {"version_mismatch", "the arena has another layout version than this library"};
    case ErrorCode::not_ready:
      return {"not_ready", "the arena's creator has not finished it"};
    case ErrorCode::bad_geometry:
      return {"bad_geometry", "the arena's header is not valid"};
    case ErrorCode::too_many_peers:
      return {"too_many_peers", "every seat is in use"};
    case ErrorCode::already_exists:
      return {"already_exists", "a living host already owns that name"};
    case ErrorCode::invalid_argument:
      return {"invalid_argument", "an argument is not valid"};
    case ErrorCode::spawn_failed:
      return {"spawn_failed", "the program could not be started"};
    case ErrorCode::os_error:
      return {"os_error", "a system call failed"};
  }
  return {"unknown", "unknown error"};
}

/// The text of an errno, without strerror's shared buffer.
std::string errno_text(int os_errno) {
  std::array<char, 128> buffer{};
  return ::strerror_r(os_errno, buffer.data(), buffer.size());
}

}  // namespace

std::string_view to_string(ErrorCode code) noexcept {
  return text_of(code).name;
}

std::ostream& operator<<(std::ostream& stream, ErrorCode code) {
  return stream << to_string(code);
}

Error::Error(ErrorCode code, const char* detail) noexcept
    : code_(code), detail_(detail_text([detail] { return std::string(detail); })) {}

Error Error::os(int os_errno, std::string_view call, std::string_view subject) noexcept {
  const auto code = os_errno == EACCES || os_errno == EPERM    ? ErrorCode::permission_denied
                    : os_errno == ENOMEM || os_errno == ENOSPC ? ErrorCode::out_of_memory
                                                               : ErrorCode::os_error;
  return Error(code, os_errno, detail_text([&] {
                 return subject.empty() ? std::string(call)
                                        : fmt::format("{} of {}", call, subject);
               }));
}

std::string Error::message() const {
  std::string sentence(text_of(code_).sentence);
  if (!detail_.empty()) sentence += ": " + detail_;
  if (os_errno_ != 0) sentence += fmt::format(" ({}, errno {})", errno_text(os_errno_), os_errno_);
  return sentence;
}

std::ostream& operator<<(std::ostream& stream, const Error& error) {
  return stream << error.message();
}

}  // namespace mews::inline MEWS_LAYOUT
