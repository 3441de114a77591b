// SPDX-License-Identifier: MIT
#include <cerrno>
#include <cstdint>
#include <new>
#include <set>
#include <string>

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
