// SPDX-License-Identifier: MIT
#include <optional>

#include "mews/error.hpp"

namespace mews::inline MEWS_LAYOUT {
namespace {

// 0 is no error in a std::error_code.
int value_of(ErrorCode code) noexcept {
  return static_cast<int>(code) + 1;
}
ErrorCode code_of(int value) noexcept {
  return static_cast<ErrorCode>(value - 1);
}

std::optional<std::errc> condition_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::would_block:
      return std::errc::resource_unavailable_try_again;
    case ErrorCode::timed_out:
      return std::errc::timed_out;
    case ErrorCode::cancelled:
      return std::errc::operation_canceled;
    case ErrorCode::peer_died:
    case ErrorCode::host_died:
      return std::errc::connection_reset;
    case ErrorCode::reset:
      return std::errc::connection_aborted;
    case ErrorCode::closed:
      return std::errc::broken_pipe;
    case ErrorCode::peer_corrupt:
      return std::errc::bad_message;
    case ErrorCode::payload_too_large:
      return std::errc::message_size;
    case ErrorCode::no_slab:
      return std::errc::no_buffer_space;
    case ErrorCode::out_of_memory:
      return std::errc::not_enough_memory;
    case ErrorCode::no_such_arena:
      return std::errc::no_such_file_or_directory;
    case ErrorCode::permission_denied:
      return std::errc::permission_denied;
    case ErrorCode::already_exists:
      return std::errc::file_exists;
    case ErrorCode::invalid_argument:
      return std::errc::invalid_argument;
    default:
      return std::nullopt;
  }
}

class Category final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "mews"; }
  [[nodiscard]] std::string message(int value) const override {
    return value == 0 ? "no error" : Error(code_of(value)).message();
  }
  [[nodiscard]] std::error_condition default_error_condition(int value) const noexcept override {
    const auto condition = value == 0 ? std::nullopt : condition_of(code_of(value));
    return condition ? std::make_error_condition(*condition) : std::error_condition(value, *this);
  }
};

}  // namespace

const std::error_category& error_category() noexcept {
  static const Category category;
  return category;
}

std::error_code make_error_code(ErrorCode code) noexcept {
  return {value_of(code), error_category()};
}

std::error_code Error::error_code() const noexcept {
  if (code_ == ErrorCode::os_error && os_errno_ != 0) return {os_errno_, std::system_category()};
  return make_error_code(code_);
}

}  // namespace mews::inline MEWS_LAYOUT
