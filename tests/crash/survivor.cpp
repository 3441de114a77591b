// SPDX-License-Identifier: MIT
#include "crash/survivor.hpp"

#include <algorithm>
#include <iterator>

#include "crash/actor.hpp"
#include "crash/lane_audit.hpp"
#include "crash/lending.hpp"
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

void Survivor::Ending::note_if_stuck(const char* call, const Patience& patience) {
  if (patience.is_over()) problem = std::string(call) + ": nobody woke it; ";
}

bool Survivor::attach(mews::AttachOptions options) {
  options.as = "survivor";
  options.local.spin_limit = std::chrono::nanoseconds(0);
  auto session = mews::Session::attach(options);
  if (!session) {
    refusal_ = session.error().code();
    return false;
  }
  session_.emplace(std::move(*session));
  return true;
}

void Survivor::prepare(Part part, const mews::mem::Arena& arena, mews::PeerId self) {
  part_ = part;
  arena_ = &arena;
  self_ = self;
  if (part != Part::holder) return;
  loans_ = lend_everything(channel());
  for (std::size_t i = 0; i < loans_.size(); ++i)
    fill(loans_[i].bytes(), i);
}

void Survivor::work_to_the_end() {
  threads_.emplace_back([this] {
    if (part_ == Part::late) {
      wait_until(receiving_, [this] { return is_armed(arena_->lane(lane_to(self_)).space_bell); });
    }
    receive_all();
    is_over_ = true;
  });
  threads_.emplace_back([this] {
    do_part();
    is_over_ = true;
  });
  join();
}

void Survivor::join() {
  for (auto& thread : threads_)
    thread.join();
  threads_.clear();
}

template <class IsSo>
void Survivor::wait_until(Ending& whose, IsSo&& is_so) const {
  const mews::Deadline deadline(kStuck);
  while (!is_so() && !is_over_) {
    if (deadline.has_passed()) {
      whose.problem = "the host never slept, or never answered; ";
      return;
    }
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

void Survivor::receive_all() {
  for (;;) {
    const Patience patience;
    auto message = channel().receive(patience);
    receiving_.note_if_stuck("receive", patience);
    if (!message) return receiving_.note("receive", message.error());
    const auto number = received_.load();
    if (const auto fault = fault_of(message->bytes(), number)) {
      receiving_.problem = "message " + std::to_string(number) + ": " + *fault + "; ";
    }
    // Not so many that nothing is left for the host.
    const bool is_kept = message->size() < kHomed ? number % 3 == 0 : number == 4;
    if (is_kept && kept_.size() < 6) kept_.push_back({number, std::move(*message)});
    received_ = number + 1;
  }
}

void Survivor::do_part() {
  if (part_ == Part::lend) return lend_all();
  if (part_ == Part::holder) hold_all();
  send_all();
}

bool Survivor::send_next(std::size_t bytes) {
  const auto number = sent_.load();
  const Patience patience;
  auto loan = channel().loan(bytes, patience);
  doing_.note_if_stuck("loan", patience);
  if (!loan) {
    doing_.note("loan", loan.error());
    return false;
  }
  fill(loan->bytes(), number);
  const std::uint32_t type = number + 1 == kMessages ? kLast : 0;
  const auto sent = channel().send(std::move(*loan), {.type = type}, patience);
  doing_.note_if_stuck("send", patience);
  if (!sent) {
    doing_.note("send", sent.error());
    return false;
  }
  sent_ = number + 1;
  return true;
}

// After its last message it goes on to send what nobody will read: until the lane is full, and the
// host is gone.
void Survivor::send_all() {
  const bool has_all_sizes = part_ == Part::stream || part_ == Part::ping;
  for (auto number = sent_.load();; ++number) {
    if (part_ == Part::ping) {
      wait_until(doing_, [this] { return is_armed(arena_->lane(lane_from(self_)).data_bell); });
    }
    const bool is_any = has_all_sizes && number < kMessages;
    if (!send_next(is_any ? kSizes[number % kSizes.size()] : kInline)) return;
    if (part_ == Part::ping) wait_until(doing_, [&] { return received_.load() > number; });
  }
}

void Survivor::lend_all() {
  for (;;) {
    const Patience patience;
    auto loan = channel().loan(kSmall, patience);
    doing_.note_if_stuck("loan", patience);
    if (!loan) return doing_.note("loan", loan.error());
    fill(loan->bytes(), loans_.size());
    loans_.push_back(std::move(*loan));
  }
}

void Survivor::hold_all() {
  if (!send_next(kInline)) return;
  const auto& bells = arena_->pool().freed_bell;
  wait_until(doing_, [&] { return std::any_of(std::begin(bells), std::end(bells), is_armed); });
  while (!loans_.empty())
    loans_.pop_back();
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

std::uint32_t Survivor::slabs_kept() const noexcept {
  auto count = static_cast<std::uint32_t>(loans_.size());
  for (const auto& kept : kept_)
    count += slabs_of(kept.message.size());
  return count;
}

std::string Survivor::verdict() const {
  auto problem = receiving_.problem + doing_.problem + check_kept();
  const auto sent = log_.sent.load();
  const auto begun = log_.begun.load();
  const auto received = received_.load();
  if (received < sent || received > begun) {
    problem += std::to_string(received) + " messages came of " + std::to_string(sent) +
               " sent and " + std::to_string(begun) + " begun; ";
  }
  if (log_.received.load() > sent_.load()) problem += "the host received too much; ";
  if (log_.stuck.load() != 0) problem += std::string("the host: ") + log_.complaint;
  return problem;
}

}  // namespace mews_test
