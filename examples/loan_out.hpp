// SPDX-License-Identifier: MIT
#pragma once

#include <woff2/output.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>
#include <utility>

#include "mews/mews.hpp"

namespace example {

/// Lets libwoff write a font straight into a loan.
///
/// The size that a WOFF2 file states is only a hint (libwoff says so too): a loan that turns out
/// too small is replaced by a larger one, one that is too large is shrunk at the end. libwoff's
/// WOFF2MemoryOut can do neither.
class LoanOut final : public woff2::WOFF2Out {
 public:
  LoanOut(mews::Channel& channel, mews::Loan loan) : channel_(channel), loan_(std::move(loan)) {
    room_ = loan_.bytes();
  }

  bool Write(const void* source, std::size_t bytes) override {
    return Write(source, written_, bytes);
  }

  bool Write(const void* source, std::size_t offset, std::size_t bytes) override {
    if (offset > SIZE_MAX - bytes) return false;
    const std::size_t end = offset + bytes;
    if (end > room_.size() && !grow(end)) return false;
    // A slab holds what was in it before: a gap must not carry that out of this process.
    if (offset > written_) std::memset(room_.data() + written_, 0, offset - written_);
    if (bytes != 0) std::memcpy(room_.data() + offset, source, bytes);
    written_ = std::max(written_, end);
    return true;
  }

  std::size_t Size() override { return written_; }

  /// Why the loan could not grow, when that is what made a write fail.
  [[nodiscard]] const std::optional<mews::Error>& error() const { return error_; }

  /// The loan, cut to what was written.
  [[nodiscard]] mews::Loan take() && {
    loan_.shrink(written_);
    return std::move(loan_);
  }

 private:
  bool grow(std::size_t at_least) {
    auto larger = channel_.loan(std::max(at_least, 2 * room_.size()));
    if (!larger) {
      error_ = larger.error();
      return false;
    }
    if (written_ != 0) std::memcpy(larger->bytes().data(), room_.data(), written_);
    loan_ = std::move(*larger);
    room_ = loan_.bytes();
    return true;
  }

  mews::Channel& channel_;
  mews::Loan loan_;
  std::span<std::byte> room_;
  std::size_t written_ = 0;
  std::optional<mews::Error> error_;
};

}  // namespace example
