// SPDX-License-Identifier: MIT
#include "start.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>

// The C library's own name for `clone`. Where a program is compiled for ThreadSanitizer, that takes
// every `clone` for a fork, of which the child has memory of its own; the library cannot know.
extern "C" int __clone(int (*)(void*), void*, int, void*, ...) noexcept;

namespace mews::inline MEWS_LAYOUT::os {
namespace {

constexpr std::size_t kStackBytes = 64 * 1024;
constexpr std::size_t kGuardBytes = 4096;  // below it, so that an overrun is no scribble
constexpr const char* kStreams[] = {"standard input", "standard output", "standard error"};

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (auto& text : texts)
    pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

ChildStack::ChildStack() noexcept
    : begin_(::mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0)) {
  if (begin_ == MAP_FAILED) {
    begin_ = nullptr;
  } else {
    ::mprotect(begin_, kGuardBytes, PROT_NONE);
  }
}

ChildStack::~ChildStack() {
  if (begin_ != nullptr) ::munmap(begin_, kStackBytes);
}

void* ChildStack::top() const noexcept {
  return begin_ == nullptr ? nullptr : static_cast<std::byte*>(begin_) + kStackBytes;
}

void Start::plan() {
  argument_pointers_ = pointers_to(options_.arguments);
  variable_pointers_ = pointers_to(variables_);
  for (const auto& program : programs_)
    program_pointers_.push_back(program.c_str());
  program_pointers_.push_back(nullptr);
  plan_.programs = program_pointers_.data();
  plan_.arguments = argument_pointers_.data();
  plan_.environment = variable_pointers_.data();
  if (!options_.working_directory.empty()) {
    plan_.working_directory = options_.working_directory.c_str();
  }
  for (std::size_t i = 0; i < options_.standard_fds.size(); ++i)
    plan_.standard_fds[i] = options_.standard_fds[i];
  plan_.kept_fds = options_.inherited_fds.data();
  plan_.kept_count = options_.inherited_fds.size();
  plan_.limits = options_.limits.data();
  plan_.limit_count = options_.limits.size();
  plan_.group = options_.group;
  plan_.has_nice = options_.nice.has_value();
  plan_.nice = options_.nice.value_or(0);
  plan_.parent_death_signal = options_.parent_death_signal;
  plan_.parent = ::getpid();
}

void Start::run(ChildStack& stack) noexcept {
  if (stack.top() == nullptr) {
    clone_failure_ = ENOMEM;
    return;
  }
  pid_ = ::__clone(run_child, stack.top(), CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &plan_,
                   &pidfd_);
  if (pid_ < 0) clone_failure_ = errno;
}

Result<Child> Start::finish() {
  if (clone_failure_ != 0) return failed(clone_failure_, program() + ": clone");
  const int raw = pidfd_;
  auto pidfd = own_fd(raw);
  if (!pidfd) {
    // Its number cannot be another process's: it is our child and nobody has waited for it.
    const int failure = errno;
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    return failed(failure, program());
  }
  if (plan_.failure == 0) return Child{pid_, std::move(pidfd)};
  (void)bury(std::move(pidfd));
  const auto step = static_cast<ChildStep>(plan_.step);
  return failed(plan_.failure,
                step == ChildStep::execute ? program() : program() + ": " + step_text());
}

void Start::give_up() noexcept {
  // seq_cst, both; partner: `run_child`.
  __atomic_store_n(&plan_.is_given_up, 1, __ATOMIC_SEQ_CST);
  const int pidfd = __atomic_load_n(&pidfd_, __ATOMIC_SEQ_CST);
  if (pidfd >= 0) ::syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0U);
}

std::string Start::step_text() const {
  // Relaxed: only for a text. The index may be that of another step.
  const auto step = static_cast<ChildStep>(__atomic_load_n(&plan_.step, __ATOMIC_RELAXED));
  const auto index = __atomic_load_n(&plan_.index, __ATOMIC_RELAXED);
  switch (step) {
    case ChildStep::group:
      return options_.group == ChildGroup::own_session ? "session" : "process group";
    case ChildStep::nice:
      return fmt::format("nice value {}", options_.nice.value_or(0));
    case ChildStep::working_directory:
      return "working directory " + options_.working_directory;
    case ChildStep::standard_stream:
      return index < std::size(kStreams) ? kStreams[index] : "standard streams";
    case ChildStep::keep_descriptor:
      return index < options_.inherited_fds.size()
                 ? fmt::format("inherited descriptor {}", options_.inherited_fds[index])
                 : "inherited descriptors";
    case ChildStep::limit:
      return index < options_.limits.size()
                 ? fmt::format("resource limit {}", options_.limits[index].resource)
                 : "resource limits";
    case ChildStep::execute:
      return "executing the program";
    case ChildStep::none:
    case ChildStep::close_others:
    case ChildStep::parent_death_signal:
    case ChildStep::signals:
      break;
  }
  return "its first steps";
}

Result<Child> Start::failed(int failure, const std::string& what) const {
  return fail(ErrorCode::spawn_failed, failure, what);
}

}  // namespace mews::inline MEWS_LAYOUT::os
