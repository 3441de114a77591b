// SPDX-License-Identifier: MIT
#include "crash/survivor.hpp"

#include "crash/actor.hpp"
#include "crash/payload.hpp"
#include "crash/table.hpp"

namespace mews_test {
namespace {

constexpr std::array kSizes{kInline, kSmall, kLarge, kMiddle, kHomed, std::size_t{480}};
constexpr std::uint64_t kMessages = 24;

}  // namespace

void Survivor::Ending::note(const char* call, const mews::Error& error) {
  code = error.code();
  if (code != mews::ErrorCode::host_died && code != mews::ErrorCode::closed) {
    problem = std::string(call) + ": " + error.message() + "; ";
  }
}

bool Survivor::attach(const std::string& name, std::chrono::milliseconds timeout) {
  mews::AttachOptions options;
  options.name = name;
  options.as = "survivor";
  options.timeout = timeout;
  options.local.spin_limit = std::chrono::nanoseconds(0);
  auto session = mews::Session::attach(options);
  if (!session) {
    refusal_ = session.error().code();
    return false;
  }
  session_.emplace(std::move(*session));
  return true;
}

void Survivor::work_to_the_end(bool wants_slabs) {
  threads_.emplace_back([this] { receive_all(); });
  threads_.emplace_back([this, wants_slabs] { wants_slabs ? lend_all() : send_all(); });
  join();
}

void Survivor::join() {
  for (auto& thread : threads_)
    thread.join();
  threads_.clear();
}

void Survivor::receive_all() {
  for (;;) {
    auto message = session_->channel().receive(kStuck);
    if (!message) return receiving_.note("receive", message.error());
    const auto number = received_++;
    if (const auto fault = fault_of(message->bytes(), number)) {
      receiving_.problem = "message " + std::to_string(number) + ": " + *fault + "; ";
    }
    // Not so many that nothing is left for the host.
    const bool is_kept = message->size() < kHomed ? number % 3 == 0 : number == 4;
    if (is_kept && kept_.size() < 6) kept_.push_back({number, std::move(*message)});
  }
}

// After its last message it goes on to send what nobody will read: until the lane is full, and the
// host is gone.
void Survivor::send_all() {
  auto& channel = session_->channel();
  for (std::uint64_t number = 0;; ++number) {
    const auto size = number < kMessages ? kSizes[number % kSizes.size()] : kInline;
    auto loan = channel.loan(size, kStuck);
    if (!loan) return sending_.note("loan", loan.error());
    fill(loan->bytes(), number);
    const std::uint32_t type = number + 1 == kMessages ? kLast : 0;
    const auto sent = channel.send(std::move(*loan), {.type = type}, kStuck);
    if (!sent) return sending_.note("send", sent.error());
    ++sent_;
  }
}

void Survivor::lend_all() {
  for (;;) {
    auto loan = session_->channel().loan(kSmall, kStuck);
    if (!loan) return lending_.note("loan", loan.error());
    fill(loan->bytes(), loans_.size());
    loans_.push_back(std::move(*loan));
  }
}

std::string Survivor::check_kept() const {
  std::string problem;
  for (const auto& kept : kept_) {
    if (const auto fault = fault_of(kept.message.bytes(), kept.number)) {
      problem += "message " + std::to_string(kept.number) + ", after the death: " + *fault + "; ";
    }
  }
  for (std::size_t i = 0; i < loans_.size(); ++i) {
    if (const auto fault = fault_of(loans_[i].bytes(), i)) {
      problem += "loan " + std::to_string(i) + ", after the death: " + *fault + "; ";
    }
  }
  return problem;
}

std::string Survivor::verdict() const {
  auto problem = receiving_.problem + sending_.problem + lending_.problem + check_kept();
  const auto sent = witness_.sent.load();
  const auto begun = witness_.begun.load();
  if (received_ < sent || received_ > begun) {
    problem += std::to_string(received_) + " messages came of " + std::to_string(sent) +
               " sent and " + std::to_string(begun) + " begun; ";
  }
  // One more than it knows of may have been published just before a call returned to it.
  if (witness_.received.load() > sent_.load() + 1) problem += "the host received too much; ";
  if (witness_.stuck.load() != 0) problem += std::string("the host: ") + witness_.complaint;
  return problem;
}

}  // namespace mews_test
