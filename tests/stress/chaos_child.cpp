// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>

#include "stress/chaos_letter.hpp"

// "traffic" <seed>, "hold" <slabs> or "idle": a plugin for the chaos tests.
namespace {

using namespace mews_test;
using mews::ErrorCode;

std::atomic<bool> is_told_to_go{false};

bool is_end(const mews::Error& error) {
  return error.code() == ErrorCode::closed || error.code() == ErrorCode::host_died;
}

/// Exits with loans in its hands, a batch half sent and the rest of another unread.
[[noreturn]] void go_in_the_middle(mews::Channel& channel, chaos::Correspondent& letters) {
  std::vector<mews::Loan> loans;
  for (const std::size_t bytes : {std::size_t{900}, std::size_t{70'000}, std::size_t{3'000'000}}) {
    if (auto loan = channel.try_loan(bytes)) loans.push_back(std::move(*loan));
  }
  (void)letters.send_batch(channel, 4);
  (void)channel.try_receive_batch([](const auto&) { ::_exit(chaos::kEndedInABatch); }, 8);
  ::_exit(chaos::kEndedInABatch);
}

int write_letters(mews::Channel& channel, std::uint64_t seed) {
  std::signal(SIGUSR1, [](int) { is_told_to_go = true; });
  chaos::Correspondent letters(seed);
  for (;;) {
    if (is_told_to_go) go_in_the_middle(channel, letters);
    for (int i = 0; i < 4; ++i) {
      const auto wait = i == 0 ? std::chrono::milliseconds(1) : std::chrono::milliseconds(0);
      const auto received = letters.receive(channel, wait);
      if (received) continue;
      if (received.error().code() == ErrorCode::timed_out) break;
      return is_end(received.error()) ? 0 : chaos::kSawNonsense;
    }
    if (const auto sent = letters.send(channel); !sent) {
      return is_end(sent.error()) ? 0 : chaos::kSawNonsense;
    }
  }
}

/// Lends that many of the smallest, says so, and waits for its end.
int hold(mews::Channel& channel, std::uint64_t count) {
  std::vector<mews::Loan> loans;
  for (std::uint64_t i = 0; i < count; ++i) {
    auto loan = channel.loan(1000);
    if (!loan) return 1;
    loans.push_back(std::move(*loan));
  }
  if (!channel.send(std::as_bytes(std::span("held")))) return 1;
  (void)channel.receive(mews::forever);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  const std::string what = count > 1 ? arguments[1] : "";
  const auto number = count > 2 ? std::strtoull(arguments[2], nullptr, 0) : 0;
  auto session = mews::Session::attach();
  if (!session) return session.error().code() == ErrorCode::host_died ? 0 : 1;
  auto& channel = session->channel();
  if (what == "traffic")
    return write_letters(channel, number ^ static_cast<std::uint64_t>(::getpid()));
  if (what == "hold") return hold(channel, number);
  (void)channel.receive(mews::forever);
  return 0;
}
