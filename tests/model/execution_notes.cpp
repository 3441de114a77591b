// SPDX-License-Identifier: MIT
#include "model/execution.hpp"

namespace mews::model {
namespace {

const char* name_of(Op op) noexcept {
  switch (op) {
    case Op::start:
      return "starts";
    case Op::load:
      return "loads";
    case Op::store:
    case Op::local_store:
      return "stores to";
    case Op::exchange:
    case Op::local_exchange:
      return "exchanges";
    case Op::fence:
      return "fences";
    case Op::heavy_fence:
      return "fences for all";
    case Op::wait:
      return "is to sleep on";
    case Op::wake:
      return "wakes sleepers of";
    case Op::lock:
      return "locks";
    case Op::point:
      return "is at";
  }
  return "";
}

}  // namespace

void Execution::note_step(Op op, const volatile void* word, std::size_t bytes, const char* what) {
  std::string line =
      scenario_.threads()[static_cast<std::size_t>(running_)].name + " " + name_of(op);
  if (what != nullptr) {
    line += std::string(" ") + what;
  } else if (word != nullptr) {
    line += " " + scenario_.words().full_name_of(word);
    if (bytes > 0) line += ", which is " + std::to_string(peek(word, bytes));
  }
  note(line);
}

void Execution::note(const std::string& line) {
  *trace_ += "  " + line + "\n";
}

}  // namespace mews::model
