// SPDX-License-Identifier: MIT
#include "model/execution.hpp"

#include "mews/base/thread_token.hpp"
#include "mews/os/membarrier.hpp"

namespace mews::model {
namespace {

/// Dying before a step that no other process can see is dying before the next one that it can.
bool can_die_before(Op op) noexcept {
  return op == Op::store || op == Op::exchange || op == Op::wait || op == Op::wake ||
         op == Op::point;
}

Op op_of(base::Step step) noexcept {
  switch (step) {
    case base::Step::load:
      return Op::load;
    case base::Step::store:
      return Op::store;
    case base::Step::exchange:
      return Op::exchange;
    case base::Step::local_store:
      return Op::local_store;
    case base::Step::local_exchange:
      return Op::local_exchange;
    case base::Step::heavy_fence:
      return Op::heavy_fence;
    case base::Step::fence:
      break;
  }
  return Op::fence;
}

void hook(base::Step step, const volatile void* word, std::size_t bytes, std::memory_order) {
  auto* execution = Execution::current();
  if (execution->is_in_thread()) execution->before(op_of(step), word, bytes);
}

}  // namespace

Execution* Execution::current_execution_ = nullptr;

Execution::Execution(Scenario& scenario, const Bounds& bounds)
    : scenario_(scenario), bounds_(bounds), buffers_(scenario.threads().size()) {
  for (std::size_t i = 0; i < scenario.threads().size(); ++i) {
    slots_.push_back(std::make_unique<Slot>());
    slots_.back()->body = [this, i] {
      scenario_.threads()[i].body();
      end_of(static_cast<int>(i));
    };
  }
  current_execution_ = this;
  base::step_hook = &hook;
  base::thread_token_model = [] { return current()->token(); };
  time_model = [] { return current()->look_at_clock(); };
  os::futex_model = this;
  os::has_modelled_fence = bounds.memory == Memory::buffered_heavy;
  sync::lock_model = this;
}

Execution::~Execution() {
  base::step_hook = nullptr;
  base::thread_token_model = nullptr;
  time_model = nullptr;
  os::futex_model = nullptr;
  os::has_modelled_fence = false;
  sync::lock_model = nullptr;
  current_execution_ = nullptr;
}

bool Execution::run(Chooser& chooser, int preemptions, std::string* trace) {
  chooser_ = &chooser;
  trace_ = trace;
  preemptions_left_ = preemptions;
  crashes_left_ = bounds_.crashes;
  decisions_.clear();
  violation_.clear();
  dead_processes_.clear();
  locked_.clear();
  is_late_ = false;
  buffers_.clear();
  scenario_.reset();
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    auto& slot = *slots_[i];
    slot.state = scenario_.threads()[i].recovers < 0 ? State::ready : State::dormant;
    slot.op = Op::start;
    slot.fiber.start(slot.body);
  }
  next_ = -1;
  while (violation_.empty()) {
    if (next_ < 0) {
      collect(true);
      if (option_count_ == 0) break;
      const auto option = pick();
      if (option.kind == Option::Kind::drain) {
        buffers_.drain_one(option.thread);
        continue;
      }
      next_ = option.thread;
    }
    running_ = next_;
    next_ = -1;
    slots_[static_cast<std::size_t>(running_)]->fiber.resume();
    buffers_.settle();
    running_ = -1;
  }
  end_run();
  return contention_.learn();
}

void Execution::end_run() {
  if (!violation_.empty()) return;
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i]->state != State::parked) continue;
    return fail(scenario_.threads()[i].name + " sleeps for ever on " +
                scenario_.words().name_of(slots_[i]->parked_on));
  }
  buffers_.drain_all();
  scenario_.verify();
}

// What may happen next: the running thread goes on, or is killed, or loses the processor; where
// none runs, any that can.
void Execution::collect(bool may_preempt) {
  option_count_ = 0;
  const auto add = [this](Option::Kind kind, int thread) {
    if (option_count_ < options_.size()) options_[option_count_++] = {kind, thread};
  };
  const auto count = static_cast<int>(slots_.size());
  if (running_ >= 0) {
    const auto& thread = scenario_.threads()[static_cast<std::size_t>(running_)];
    add(Option::Kind::run, running_);
    if (thread.may_crash && crashes_left_ > 0 &&
        can_die_before(slots_[static_cast<std::size_t>(running_)]->op)) {
      add(Option::Kind::crash, running_);
    }
  }
  bool is_any_ready = running_ >= 0;
  for (int i = 0; i < count; ++i) {
    if (i == running_ || slots_[static_cast<std::size_t>(i)]->state != State::ready) continue;
    if (running_ >= 0 && (preemptions_left_ == 0 || !may_preempt)) continue;
    is_any_ready = true;
    add(Option::Kind::run, i);
  }
  if (bounds_.memory == Memory::sequential || !is_any_ready || !may_preempt) return;
  for (int i = 0; i < count; ++i) {
    if (i != running_ && !buffers_.is_empty(i)) add(Option::Kind::drain, i);
  }
}

Option Execution::pick() {
  const std::span<const Option> options(options_.data(), option_count_);
  const auto option = options[chooser_->choose(options)];
  decisions_.push_back(option);
  if (trace_ != nullptr && option.kind == Option::Kind::drain) {
    note(scenario_.threads()[static_cast<std::size_t>(option.thread)].name +
         "'s oldest buffered store lands");
  }
  return option;
}

// Returns once the running thread is to take its step.
void Execution::decide(bool may_preempt) {
  const auto me = running_;
  auto& slot = *slots_[static_cast<std::size_t>(me)];
  if (decisions_.size() >= kMaxDecisions) return fail("no progress: a thread turns for ever");
  const bool may_crash = crashes_left_ > 0 && can_die_before(slot.op);
  if (!may_preempt && !may_crash) return decisions_.push_back({Option::Kind::run, me});
  for (;;) {
    collect(may_preempt);
    const auto option = pick();
    if (option.kind == Option::Kind::drain) {
      buffers_.drain_one(option.thread);
      continue;
    }
    if (option.kind == Option::Kind::crash) {
      --crashes_left_;
      kill_process(scenario_.threads()[static_cast<std::size_t>(me)].process);
      slot.fiber.suspend();
    }
    if (option.thread == me) return;
    --preemptions_left_;
    next_ = option.thread;
    slot.fiber.suspend();
    return;
  }
}

// Whether a preemption here differs from one at the thread's next step.
bool Execution::matters_to_others(Op op, const volatile void* word) {
  const bool is_on_word = op == Op::load || op == Op::store || op == Op::exchange ||
                          op == Op::local_store || op == Op::local_exchange || op == Op::lock;
  if (!is_on_word) return true;
  const bool is_contended = contention_.note(word, running_, op != Op::load);
  // A locked operation is a fence as well.
  const bool is_fence = bounds_.memory != Memory::sequential &&
                        (op == Op::exchange || op == Op::local_exchange || op == Op::lock);
  return is_contended || is_fence || chooser_->takes_all_steps();
}

void Execution::before(Op op, const volatile void* word, std::size_t bytes, const char* what) {
  const auto me = running_;
  auto& slot = *slots_[static_cast<std::size_t>(me)];
  slot.op = op;
  slot.word = word;
  const bool matters = matters_to_others(op, word);
  if (bounds_.memory == Memory::sequential) {
    if (op == Op::fence || op == Op::heavy_fence) return;  // every step is one
    decide(matters);
  } else {
    buffers_.settle();
    decide(matters);
    const bool is_store = op == Op::store || op == Op::local_store;
    if (op == Op::load) buffers_.begin_load(me, word);
    if (is_store) buffers_.begin_store(me, word, bytes);
    // The kernel, too, uses locked operations where it puts to sleep and wakes.
    if (op != Op::load && !is_store && op != Op::point) buffers_.drain(me);
    if (op == Op::heavy_fence) buffers_.drain_all();
  }
  if (trace_ != nullptr) note_step(op, word, bytes, what);
}

void Execution::fail(std::string sentence) {
  if (violation_.empty()) violation_ = std::move(sentence);
  if (running_ >= 0) slots_[static_cast<std::size_t>(running_)]->fiber.suspend();
}

}  // namespace mews::model
