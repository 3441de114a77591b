// SPDX-License-Identifier: MIT
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "stress/chaos_letter.hpp"

// "traffic" <seed> <witness>, "hold" <slabs>, "busy" or "idle": a plugin for the chaos tests.
namespace {

using namespace mews_test;
using mews::ErrorCode;

std::atomic<bool> is_told_to_go{false};
chaos::Life* own_life = nullptr;

// Between the two notes that it makes of a publication, it is in the middle of that.
void on_told_to_go(int) {
  if (own_life->begun() != own_life->published()) ::_exit(chaos::kEndedInABatch);
  is_told_to_go = true;
}

bool is_end(const mews::Error& error) {
  return error.code() == ErrorCode::closed || error.code() == ErrorCode::host_died;
}

/// With loans in its hands, exits in the middle of a batch: of one that it receives, or of one that
/// it sends when a timer fires there.
[[noreturn]] void go_in_the_middle(mews::Channel& channel, chaos::Correspondent& letters) {
  std::vector<mews::Loan> loans;
  for (const std::size_t bytes : {std::size_t{900}, std::size_t{70'000}, std::size_t{3'000'000}}) {
    if (auto loan = channel.try_loan(bytes)) loans.push_back(std::move(*loan));
  }
  std::signal(SIGALRM, on_told_to_go);
  const itimerval often{.it_interval = {.tv_sec = 0, .tv_usec = 30},
                        .it_value = {.tv_sec = 0, .tv_usec = 30}};
  ::setitimer(ITIMER_REAL, &often, nullptr);
  for (;;) {
    (void)letters.send_batch(channel, 40, chaos::small_size);
    const auto end_here = [&](const auto&) {
      if (between(letters.random(), 0, 3) == 0) ::_exit(chaos::kEndedInABatch);
    };
    (void)channel.try_receive_batch(end_here, 8);
  }
}

int write_letters(mews::Channel& channel, std::uint64_t seed) {
  std::signal(SIGUSR1, on_told_to_go);
  chaos::Correspondent letters(seed, own_life);
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

/// Writes to memory of all sizes, sleeps a little, and so on until its host says goodbye.
int stay_busy(mews::Channel& channel) {
  Random random(static_cast<std::uint64_t>(::getpid()));
  for (;;) {
    for (int i = 0; i < 8; ++i) {
      auto loan = channel.try_loan(chaos::random_size(random));
      if (loan) chaos::write_letter(loan->bytes(), 0, random);
    }
    const auto received = channel.receive(std::chrono::milliseconds(1));
    if (!received && received.error().code() != ErrorCode::timed_out) return 0;
  }
}

}  // namespace

int main(int count, char** arguments) {
  const std::string what = count > 1 ? arguments[1] : "";
  const auto number = count > 2 ? std::strtoull(arguments[2], nullptr, 0) : 0;
  std::optional<chaos::WitnessPage> witness;
  if (count > 3) own_life = &witness.emplace(arguments[3])->begin_life();
  auto session = mews::Session::attach();
  if (!session) return session.error().code() == ErrorCode::host_died ? 0 : 1;
  auto& channel = session->channel();
  if (what == "traffic")
    return write_letters(channel, number ^ static_cast<std::uint64_t>(::getpid()));
  if (what == "hold") return hold(channel, number);
  if (what == "busy") return stay_busy(channel);
  (void)channel.receive(mews::forever);
  return 0;
}
