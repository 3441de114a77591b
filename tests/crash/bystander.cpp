// SPDX-License-Identifier: MIT
#include "crash/bystander.hpp"

#include <array>

#include "crash/host_side.hpp"
#include "crash/payload.hpp"
#include "crash/table.hpp"

namespace mews_test {

bool Bystander::attach(mews::AttachOptions options) {
  options.as = "bystander";
  options.local.spin_limit = std::chrono::nanoseconds(0);
  auto session = mews::Session::attach(options);
  if (!session) return false;
  session_.emplace(std::move(*session));
  held_slabs_.emplace(session_->channel());
  return true;
}

void Bystander::begin() {
  thread_ = std::thread([this] {
    run();
    is_over_ = true;
  });
  while (rounds() == 0 && !is_over_)
    std::this_thread::sleep_for(std::chrono::microseconds(20));
}

void Bystander::join() {
  if (thread_.joinable()) thread_.join();
}

void Bystander::run() {
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

std::optional<mews::Error> Bystander::one_round(std::uint64_t number) {
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

std::string Bystander::verdict() const {
  if (!problem_.empty()) return "the bystander: " + problem_;
  const auto statement = held_slabs_->state();
  if (statement.slabs == HeldSlabs::kSlabs && statement.damaged == 0) return "";
  return "of the bystander's " + std::to_string(statement.slabs) + " slabs " +
         std::to_string(statement.damaged) + " were written to by another; ";
}

}  // namespace mews_test
