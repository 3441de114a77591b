// SPDX-License-Identifier: MIT
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "stress/loan_load.hpp"

// "<page> <process> <rounds> <messages> <largest> <seed>": a plugin for the loan stress test.
// Lends, and writes messages meanwhile, some of which want an answer.
namespace {

using namespace stress;

std::string write_messages(mews::Channel& channel, std::uint64_t count, std::uint64_t seed,
                           const std::atomic<std::uint64_t>& received) {
  mews_test::Random random(seed);
  for (std::uint64_t i = 0; i <= count; ++i) {
    const bool wants_answer = random() % 2 == 0;
    // When all has been received, the reader is about to sleep.
    const mews::Deadline deadline(kPatience);
    for (stress::Idle idle; random() % 512 != 0 && received < i && !deadline.has_passed();)
      idle.wait();
    pause_a_little(random);
    const auto type = i == count ? kLast : wants_answer ? kWantsAnswer : 0;
    const auto sent =
        channel.send(std::as_bytes(std::span("x")), {.type = type, .correlation = i}, kPatience);
    if (!sent) return "message " + std::to_string(i) + ": " + sent.error().message();
    if (type != kWantsAnswer) continue;
    const auto answer = channel.receive(kPatience);
    if (!answer) return "answer " + std::to_string(i) + ": " + answer.error().message();
    if (answer->correlation() != i) return "another answer";
  }
  return {};
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 7) return 2;
  const auto number = [&](int i) { return std::strtoull(arguments[i], nullptr, 0); };
  const mews_test::SharedPage<LoanWords> words(arguments[1]);
  const LoanPlan plan{
      .rounds = number(3), .messages = number(4), .largest_bytes = number(5), .seed = number(6)};
  never_look_again();
  mews::AttachOptions options;
  options.local.spin_limit = std::chrono::seconds(0);  // to sleep is what is tested
  auto session = mews::Session::attach(options);
  if (!session) return 3;
  auto& channel = session->channel();
  std::string lent;
  std::thread lender([&] { lent = lend_in_threads(channel, *words, plan, number(2)); });
  const auto written =
      write_messages(channel, plan.messages, plan.seed ^ number(2), words->received[number(2) - 1]);
  lender.join();
  const auto complaint = lent + written;
  if (!complaint.empty()) std::fprintf(stderr, "loan_child: %s\n", complaint.c_str());
  return complaint.empty() ? 0 : 1;
}
