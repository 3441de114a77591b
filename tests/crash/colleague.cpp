// SPDX-License-Identifier: MIT
#include "crash/colleague.hpp"

#include <array>

#include "crash/encounter.hpp"
#include "crash/payload.hpp"
#include "crash/table.hpp"

namespace mews_test {

bool Colleague::attach(mews::AttachOptions options) {
  options.as = "colleague";
  options.local.spin_limit = std::chrono::nanoseconds(0);
  auto session = mews::Session::attach(options);
  if (!session) return false;
  session_.emplace(std::move(*session));
  hoard_.emplace(session_->channel());
  return true;
}

void Colleague::begin() {
  thread_ = std::thread([this] {
    run();
    is_over_ = true;
  });
  while (rounds() == 0 && !is_over_)
    std::this_thread::sleep_for(std::chrono::microseconds(20));
}

void Colleague::join() {
  if (thread_.joinable()) thread_.join();
}

void Colleague::run() {
  using mews::ErrorCode;
  for (std::uint64_t number = 0;; ++number) {
    if (const auto end = one_round(number)) {
      const bool is_honest =
          end->code() == ErrorCode::host_died || end->code() == ErrorCode::closed;
      if (!is_honest) problem_ += end->message() + "; ";
      return;
    }
    rounds_ = number + 1;
    // Leaves the processors to those whose steps are counted.
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
}

std::optional<mews::Error> Colleague::one_round(std::uint64_t number) {
  // None of those that a survivor may want all of: it would end up waiting for the host's end.
  constexpr std::array kSizes{kInline, kLarge, std::size_t{480}, kHomed};
  auto& channel = session_->channel();
  auto loan = channel.loan(kSizes[number % kSizes.size()], kStuck);
  if (!loan) return loan.error();
  fill(loan->bytes(), number);
  if (auto sent = channel.send(std::move(*loan), {.correlation = number}, kStuck); !sent) {
    return sent.error();
  }
  const auto answer = channel.receive(kStuck);
  if (!answer) return answer.error();
  if (answer->correlation() != number) problem_ += "an answer is to another message; ";
  if (const auto fault = fault_of(answer->bytes(), number)) problem_ += *fault + "; ";
  return std::nullopt;
}

std::string Colleague::verdict() const {
  if (!problem_.empty()) return "the colleague: " + problem_;
  const auto statement = hoard_->state();
  if (statement.slabs == Hoard::kSlabs && statement.damaged == 0) return "";
  return "of the colleague's " + std::to_string(statement.slabs) + " slabs " +
         std::to_string(statement.damaged) + " were written to by another; ";
}

}  // namespace mews_test
