// SPDX-License-Identifier: MIT
#include <algorithm>

#include "model/execution.hpp"

namespace mews::model {

void Execution::kill_process(int process) {
  if (trace_ != nullptr) {
    note("** the process of " + scenario_.threads()[static_cast<std::size_t>(running_)].name +
         " is killed");
  }
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    if (scenario_.threads()[i].process == process) slots_[i]->state = State::dead;
  }
  note_death(process);
}

void Execution::note_death(int process) {
  dead_processes_.push_back(process);
  for (std::size_t i = 0; i < slots_.size(); ++i) {
    const bool is_called = scenario_.threads()[i].recovers == process;
    if (is_called && slots_[i]->state == State::dormant) slots_[i]->state = State::ready;
  }
}

void Execution::end_of(int thread) {
  const auto& threads = scenario_.threads();
  const auto process = threads[static_cast<std::size_t>(thread)].process;
  slots_[static_cast<std::size_t>(thread)]->state = State::ended;
  bool is_last = !threads[static_cast<std::size_t>(thread)].stays;
  bool is_recovered = false;
  for (std::size_t i = 0; i < threads.size(); ++i) {
    is_recovered = is_recovered || threads[i].recovers == process;
    is_last = is_last && (threads[i].process != process || slots_[i]->state == State::ended);
  }
  if (is_last && is_recovered) note_death(process);
}

bool Execution::is_dead(int process) const {
  return std::find(dead_processes_.begin(), dead_processes_.end(), process) !=
         dead_processes_.end();
}

}  // namespace mews::model
