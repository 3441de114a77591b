// SPDX-License-Identifier: MIT
#include <cerrno>
#include <cstdint>
#include <new>
#include <set>
#include <sstream>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "mews/error.hpp"

namespace {

using Catch::Matchers::ContainsSubstring;
using mews::Error;
using mews::ErrorCode;

constexpr auto kLastCode = ErrorCode::os_error;

}  // namespace

TEST_CASE("error: every code has a name and a sentence of its own") {
  std::set<std::string> names;
  std::set<std::string> sentences;
  for (std::uint8_t i = 0; i <= static_cast<std::uint8_t>(kLastCode); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    const std::string name(to_string(code));
    INFO("code " << int{i} << " " << name);
    CHECK_FALSE(name.empty());
    CHECK(name != "unknown");
    CHECK(names.insert(name).second);
    CHECK(sentences.insert(Error(code).message()).second);
    CHECK_FALSE(Error(code).message().empty());
  }
}

TEST_CASE("error: a number that is no code still has a name") {
  CHECK(to_string(static_cast<ErrorCode>(255)) == "unknown");
  CHECK_FALSE(Error(static_cast<ErrorCode>(255)).message().empty());
}

TEST_CASE("error: the message is the sentence, then the detail") {
  const Error plain(ErrorCode::timed_out);
  CHECK(plain.detail().empty());
  CHECK(plain.os_errno() == 0);
  const Error detailed(ErrorCode::timed_out, "no 16 MiB slab for 5 s");
  CHECK(detailed.message() == plain.message() + ": no 16 MiB slab for 5 s");
  CHECK(detailed.code() == ErrorCode::timed_out);
}

TEST_CASE("error: a failed system call names the call, its subject, and the errno in words") {
  const auto error = Error::os(EMFILE, "memfd_create", "arena site");
  CHECK(error.code() == ErrorCode::os_error);
  CHECK(error.os_errno() == EMFILE);
  CHECK(error.detail() == "memfd_create of arena site");
  CHECK_THAT(error.message(), ContainsSubstring("memfd_create of arena site"));
  CHECK_THAT(error.message(), ContainsSubstring("Too many open files"));
  CHECK_THAT(error.message(), ContainsSubstring("errno 24"));
  CHECK(Error::os(EIO, "poll").detail() == "poll");
}

TEST_CASE("error: refusals and shortages of the system have codes of their own") {
  CHECK(Error::os(EACCES, "open").code() == ErrorCode::permission_denied);
  CHECK(Error::os(EPERM, "open").code() == ErrorCode::permission_denied);
  CHECK(Error::os(ENOMEM, "mmap").code() == ErrorCode::out_of_memory);
  CHECK(Error::os(ENOSPC, "fallocate").code() == ErrorCode::out_of_memory);
}

TEST_CASE("error: a failed result carries the error it was made of") {
  const auto refuse = []() -> mews::Result<int> { return mews::fail(ErrorCode::closed, "by it"); };
  const auto result = refuse();
  REQUIRE_FALSE(result);
  CHECK(result.error().code() == ErrorCode::closed);
  CHECK(result.error().detail() == "by it");
}

TEST_CASE("error: a detail for which there is no memory stays empty") {
  const auto none = mews::detail_text([]() -> std::string { throw std::bad_alloc(); });
  CHECK(none.empty());
  CHECK(Error(ErrorCode::timed_out, none).message() == Error(ErrorCode::timed_out).message());
  CHECK(mews::detail_text([] { return std::string("said"); }) == "said");
}

TEST_CASE("error: a stream gets an error's message and a code's name") {
  const Error error(ErrorCode::timed_out, "no 16 MiB slab for 5 s");
  std::ostringstream stream;
  stream << error << '|' << ErrorCode::peer_died;
  CHECK(stream.str() == error.message() + "|peer_died");
}

TEST_CASE("error: format_as, which fmt finds by the argument's type, gives the same texts") {
  const Error error(ErrorCode::timed_out, "no 16 MiB slab for 5 s");
  CHECK(format_as(error) == error.message());
  CHECK(format_as(ErrorCode::peer_died) == "peer_died");
}

TEST_CASE("error: every code is an error as std::error_code, with its name and sentence") {
  std::set<int> values;
  for (std::uint8_t i = 0; i <= static_cast<std::uint8_t>(kLastCode); ++i) {
    const auto code = static_cast<ErrorCode>(i);
    INFO(to_string(code));
    const std::error_code standard = code;
    CHECK(standard);
    CHECK(values.insert(standard.value()).second);
    CHECK(standard.category() == mews::error_category());
    CHECK(standard.message() == Error(code).message());
    CHECK(standard == code);
    CHECK(Error(code, "detail").error_code() == standard);
  }
  CHECK(std::string(mews::error_category().name()) == "mews");
}

TEST_CASE("error: codes are equivalent to the std::errc of the same meaning, and to no other") {
  for (const auto& [code, condition] : std::vector<std::pair<ErrorCode, std::errc>>{
           {ErrorCode::would_block, std::errc::operation_would_block},
           {ErrorCode::would_block, std::errc::resource_unavailable_try_again},
           {ErrorCode::timed_out, std::errc::timed_out},
           {ErrorCode::cancelled, std::errc::operation_canceled},
           {ErrorCode::peer_died, std::errc::connection_reset},
           {ErrorCode::host_died, std::errc::connection_reset},
           {ErrorCode::closed, std::errc::broken_pipe},
           {ErrorCode::peer_corrupt, std::errc::bad_message},
           {ErrorCode::payload_too_large, std::errc::message_size},
           {ErrorCode::no_slab, std::errc::no_buffer_space},
           {ErrorCode::out_of_memory, std::errc::not_enough_memory},
           {ErrorCode::no_such_arena, std::errc::no_such_file_or_directory},
           {ErrorCode::permission_denied, std::errc::permission_denied},
           {ErrorCode::already_exists, std::errc::file_exists},
           {ErrorCode::invalid_argument, std::errc::invalid_argument}}) {
    INFO(to_string(code));
    CHECK(make_error_code(code) == condition);
    CHECK(make_error_code(code) != std::errc::io_error);
  }
  CHECK(make_error_code(ErrorCode::concurrent_use) != std::errc::timed_out);
}

TEST_CASE("error: a failed system call's std::error_code is the system's") {
  const auto standard = Error::os(EMFILE, "memfd_create").error_code();
  CHECK(standard.category() == std::system_category());
  CHECK(standard == std::errc::too_many_files_open);
  CHECK(Error::os(ENOMEM, "mmap").error_code() == ErrorCode::out_of_memory);
}
