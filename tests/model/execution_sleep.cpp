// SPDX-License-Identifier: MIT
#include <algorithm>

#include "model/execution.hpp"

// What the kernel and the standard library do for threads that wait, done here: futexes, locks,
// condition variables; and the time, which is one moment at which all deadlines pass.
namespace mews::model {

void Execution::park(const void* on, bool has_deadline) {
  auto& slot = *slots_[static_cast<std::size_t>(running_)];
  slot.state = State::parked;
  slot.parked_on = on;
  slot.has_deadline = has_deadline;
  slot.fiber.suspend();
}

int Execution::unpark(const void* on, int count) {
  int unparked = 0;
  for (auto& slot : slots_) {
    if (unparked == count) break;
    if (slot->state != State::parked || slot->parked_on != on) continue;
    slot->state = State::ready;
    ++unparked;
  }
  return unparked;
}

os::FutexWait Execution::wait(const base::Atomic<std::uint32_t>& word, std::uint32_t expected,
                              Deadline deadline) {
  before(Op::wait, &word, sizeof word);
  if (peek(&word, sizeof word) != expected) return os::FutexWait::changed;
  const bool has_deadline = !deadline.is_forever();
  if (!has_deadline || !is_late_) park(&word, has_deadline);
  return has_deadline && is_late_ ? os::FutexWait::timed_out : os::FutexWait::woken;
}

int Execution::wake(const base::Atomic<std::uint32_t>& word, int sleepers) {
  if (!is_in_thread()) return 0;
  before(Op::wake, &word, sizeof word);
  return unpark(&word, sleepers);
}

void Execution::lock(const void* mutex) {
  if (!is_in_thread()) return;
  before(Op::lock, mutex);
  while (std::find(locked_.begin(), locked_.end(), mutex) != locked_.end())
    park(mutex, false);
  locked_.push_back(mutex);
}

// Not a step: whoever waits for the lock can only go on at a later one.
void Execution::unlock(const void* mutex) {
  if (!is_in_thread()) return;
  std::erase(locked_, mutex);
  unpark(mutex, 1);
}

bool Execution::sleep(const void* condition, Deadline deadline) {
  const bool has_deadline = !deadline.is_forever();
  if (!has_deadline || !is_late_) park(condition, has_deadline);
  return !has_deadline || !is_late_;
}

void Execution::wake(const void* condition, int sleepers) {
  unpark(condition, sleepers);
}

void Execution::pass_deadlines() {
  before(Op::point, nullptr, 0, "the moment at which all deadlines pass");
  is_late_ = true;
  for (auto& slot : slots_) {
    if (slot->state == State::parked && slot->has_deadline) slot->state = State::ready;
  }
}

void Execution::wake_for_no_reason() {
  before(Op::point, nullptr, 0, "the moment at which all sleepers wake for no reason");
  for (auto& slot : slots_) {
    if (slot->state == State::parked) slot->state = State::ready;
  }
}

bool Execution::look_at_clock() {
  if (is_in_thread()) before(Op::load, &is_late_, sizeof is_late_, "a look at the clock");
  return is_late_;
}

const void* Execution::token() const noexcept {
  return slots_[static_cast<std::size_t>(is_in_thread() ? running_ : acting_)].get();
}

}  // namespace mews::model
