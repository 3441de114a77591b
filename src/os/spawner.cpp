// SPDX-License-Identifier: MIT
#include "mews/os/spawner.hpp"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "start.hpp"

namespace mews::inline MEWS_LAYOUT::os {
namespace {

using Clock = Deadline::Clock;
using Lock = std::unique_lock<std::mutex>;

// A start that waits behind another one for longer than this gets a thread of its own.
constexpr std::chrono::milliseconds kStuck{50};
constexpr std::chrono::seconds kUntilThreadsEnd{5};

enum class Phase { queued, running, over };

}  // namespace

/// Guarded by the state's mutex, but for `start`, whose functions have rules of their own.
class Spawner::Job {
 public:
  Job(std::unique_ptr<Start> what, Deadline until, Done call)
      : start(std::move(what)), deadline(until), done(std::move(call)) {}

  const std::unique_ptr<Start> start;
  const Deadline deadline;
  Done done;
  Phase phase = Phase::queued;
  bool is_in_child = false;  ///< a thread is in `Start::run`
  Clock::time_point queued = Clock::now();
};

struct Spawner::State {
  using JobPtr = std::shared_ptr<Job>;
  struct Thread {
    std::thread thread;
    bool has_ended = false;
  };
  /// A call to make once the mutex is free.
  struct Call {
    Done done;
    Error why;
  };

  std::mutex mutex;
  std::condition_variable work;   ///< something is queued, or it all ends
  std::condition_variable ended;  ///< a thread has
  std::deque<JobPtr> queue;
  std::vector<JobPtr> running;
  std::vector<std::unique_ptr<Thread>> threads;
  std::size_t idle = 0;
  Clock::time_point last_thread{};
  std::optional<Error> stopped;
  bool is_ending = false;

  [[nodiscard]] Result<void> add_thread(const std::shared_ptr<State>& self);
  void work_off(Thread& own);
  void run(const JobPtr& job, ChildStack& stack, Lock& lock);
  [[nodiscard]] Call give_up(const JobPtr& job, Error why);
  /// Returns a start that is past its deadline at `now`; without `now`, any start.
  [[nodiscard]] JobPtr find_under_way(std::optional<Clock::time_point> now) const;
  [[nodiscard]] Error late_error(const Job& job) const;
  [[nodiscard]] Deadline next_look() const;
};

// The program's signals are for its own threads; and in the child none may be handled.
Result<void> Spawner::State::add_thread(const std::shared_ptr<State>& self) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  threads.push_back(std::make_unique<Thread>());
  auto& own = *threads.back();
  Result<void> added;
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    own.thread = std::thread([self, &own] { self->work_off(own); });
  } catch (const std::system_error& failure) {
    added = tl::unexpected(Error::os(failure.code().value(), "starting a thread"));
  } catch (const std::bad_alloc&) {
    added = fail(ErrorCode::out_of_memory);
  }
  if (!added) threads.pop_back();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  last_thread = Clock::now();
  return added;
}

void Spawner::State::work_off(Thread& own) {
  ChildStack stack;
  Lock lock(mutex);
  for (;;) {
    ++idle;
    work.wait(lock, [this] { return is_ending || !queue.empty(); });
    --idle;
    if (queue.empty()) break;
    const auto job = queue.front();
    queue.pop_front();
    run(job, stack, lock);
  }
  own.has_ended = true;
  ended.notify_all();
}

void Spawner::State::run(const JobPtr& job, ChildStack& stack, Lock& lock) {
  job->phase = Phase::running;
  job->is_in_child = true;
  running.push_back(job);
  lock.unlock();
  job->start->run(stack);
  lock.lock();
  job->is_in_child = false;
  std::erase(running, job);
  const bool is_given_up = job->phase == Phase::over;
  job->phase = Phase::over;
  auto done = std::exchange(job->done, nullptr);
  lock.unlock();
  auto child = job->start->finish();
  if (!is_given_up) {
    done(std::move(child));
  } else if (child) {
    (void)send_signal(child->pidfd.get(), SIGKILL);
    (void)bury(std::move(child->pidfd));
  }
  done = nullptr;
  lock.lock();
}

Spawner::State::Call Spawner::State::give_up(const JobPtr& job, Error why) {
  job->phase = Phase::over;
  std::erase(queue, job);
  if (job->is_in_child) job->start->give_up();
  return {std::exchange(job->done, nullptr), std::move(why)};
}

Spawner::State::JobPtr Spawner::State::find_under_way(std::optional<Clock::time_point> now) const {
  const auto is_wanted = [&](const JobPtr& job) {
    return job->phase != Phase::over && (!now || job->deadline.at() <= *now);
  };
  const auto waiting = std::ranges::find_if(queue, is_wanted);
  if (waiting != queue.end()) return *waiting;
  const auto stuck = std::ranges::find_if(running, is_wanted);
  return stuck != running.end() ? *stuck : nullptr;
}

Error Spawner::State::late_error(const Job& job) const {
  const auto what =
      job.is_in_child ? "its start is stuck at: " + job.start->step_text() + "; it has been killed"
                      : std::string("other starts are stuck");
  return Error(ErrorCode::timed_out,
               fmt::format("{} has not begun to run: {}", job.start->program(), what));
}

Deadline Spawner::State::next_look() const {
  auto next = Clock::time_point::max();
  for (const auto& job : queue)
    next = std::min(next, job->deadline.at());
  for (const auto& job : running) {
    if (job->phase == Phase::running) next = std::min(next, job->deadline.at());
  }
  // Also with a thread at rest, which may begin another start first.
  if (!queue.empty()) {
    const auto stuck = std::max(queue.front()->queued, last_thread) + kStuck;
    next = std::min(next, std::max(stuck, Clock::now() + kStuck / 5));
  }
  return next;
}

Spawner::Spawner() : state_(std::make_shared<State>()) {}

Spawner::~Spawner() {
  stop(Error(ErrorCode::closed, "no program is started any more"));
  Lock lock(state_->mutex);
  state_->is_ending = true;
  state_->work.notify_all();
  state_->ended.wait_for(lock, kUntilThreadsEnd, [this] {
    return std::ranges::all_of(state_->threads, [](const auto& own) { return own->has_ended; });
  });
  std::vector<std::thread> threads;
  for (const auto& own : state_->threads) {
    if (own->has_ended) {
      threads.push_back(std::move(own->thread));
    } else {
      own->thread.detach();
    }
  }
  lock.unlock();
  for (auto& thread : threads)
    thread.join();
}

Result<std::shared_ptr<Spawner::Job>> Spawner::submit(SpawnOptions options, Deadline deadline,
                                                      Done done) try {
  auto start = Start::prepare(std::move(options));
  if (!start) return tl::unexpected(std::move(start.error()));
  const auto job = std::make_shared<Job>(std::move(*start), deadline, std::move(done));
  const Lock lock(state_->mutex);
  if (state_->stopped) return tl::unexpected(*state_->stopped);
  if (state_->threads.empty()) {
    if (auto added = state_->add_thread(state_); !added) {
      return tl::unexpected(std::move(added.error()));
    }
  }
  state_->queue.push_back(job);
  state_->work.notify_one();
  return job;
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);  // nothing has been queued
}

Result<Child> Spawner::start(SpawnOptions options, Deadline deadline) try {
  struct Waiting {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Result<Child>> result;
  };
  const auto waiting = std::make_shared<Waiting>();
  auto job = submit(std::move(options), deadline, [waiting](Result<Child> child) {
    const std::lock_guard lock(waiting->mutex);
    waiting->result.emplace(std::move(child));
    waiting->changed.notify_all();
  });
  if (!job) return tl::unexpected(std::move(job.error()));
  Lock lock(waiting->mutex);
  while (!waiting->result) {
    lock.unlock();
    const auto next = mind();
    lock.lock();
    const auto is_there = [&] { return waiting->result.has_value(); };
    if (next.is_forever()) {
      waiting->changed.wait(lock, is_there);
    } else {
      waiting->changed.wait_until(lock, next.at(), is_there);
    }
  }
  return std::move(*waiting->result);
} catch (const std::bad_alloc&) {
  return fail(ErrorCode::out_of_memory);  // before anything was submitted
}

Deadline Spawner::mind() try {
  Lock lock(state_->mutex);
  // One after the other: without memory for an error's text, nothing has happened to its start.
  while (const auto job = state_->find_under_way(Clock::now())) {
    const auto call = state_->give_up(job, state_->late_error(*job));
    lock.unlock();
    call.done(tl::unexpected(call.why));
    lock.lock();
  }
  const bool is_stuck = !state_->queue.empty() && state_->idle == 0;
  if (is_stuck &&
      std::max(state_->queue.front()->queued, state_->last_thread) + kStuck <= Clock::now()) {
    // Without a thread the start waits until its deadline.
    (void)state_->add_thread(state_);
  }
  return state_->next_look();
} catch (const std::bad_alloc&) {
  return kStuck;  // there may be memory then
}

void Spawner::give_up(const std::shared_ptr<Job>& job, const Error& why) {
  Lock lock(state_->mutex);
  if (job->phase == Phase::over) return;
  const auto call = state_->give_up(job, why);
  lock.unlock();
  call.done(tl::unexpected(call.why));
}

void Spawner::stop(const Error& why) {
  Lock lock(state_->mutex);
  state_->stopped = why;
  while (const auto job = state_->find_under_way({})) {
    const auto call = state_->give_up(job, why);
    lock.unlock();
    call.done(tl::unexpected(call.why));
    lock.lock();
  }
}

}  // namespace mews::inline MEWS_LAYOUT::os
