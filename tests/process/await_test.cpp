// SPDX-License-Identifier: MIT
#include "mews/await.hpp"

#if defined(__cpp_impl_coroutine) && defined(__cpp_lib_coroutine)
#include <coroutine>
#include <csignal>
#include <exception>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "../support/catch.hpp"
#include "link_support.hpp"

using namespace process_test;

namespace {

/// The least coroutine: it begins at once, and its owner destroys it.
class Task {
 public:
  struct promise_type {
    Task get_return_object() {
      return Task(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() { std::terminate(); }
  };
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }
  [[nodiscard]] bool is_done() const { return handle_.done(); }
  void resume() { handle_.resume(); }

 private:
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

Task ask(mews::PendingReply pending, std::vector<std::string>& told) {
  const auto reply = co_await std::move(pending);
  told.push_back(reply ? std::string(reply->text()) : outcome(reply));
}

void dispatch_until(mews::Link& link, std::size_t count, std::vector<std::string>& told) {
  REQUIRE(eventually([&] {
    (void)link.dispatch();
    return told.size() == count;
  }));
}

}  // namespace

TEST_CASE("await: a coroutine goes on in the thread that dispatches, with the reply") {
  LinkPair pair;
  pair.serve();
  std::thread::id resumed_by;
  int right = 0;
  const auto calls = [&]() -> Task {
    for (int i = 0; i < 50; ++i) {
      const auto text = std::to_string(i);
      auto pending = must(pair.here().start(text, {.type = kEcho}, kPatience));
      const auto reply = co_await std::move(pending);
      right += text_of(reply) == text ? 1 : 0;
    }
    resumed_by = std::this_thread::get_id();
  };
  const auto task = calls();
  REQUIRE(eventually([&] {
    (void)pair.here().dispatch();
    return task.is_done();
  }));
  CHECK(right == 50);
  CHECK(resumed_by == std::this_thread::get_id());
}

TEST_CASE("await: what is over already does not suspend") {
  LinkPair pair;
  std::vector<std::string> told;
  auto pending = must(pair.here().start("x", {.type = kEcho}, kPatience));
  auto request = must(pair.there().accept(kPatience));
  answer(request);
  must(pending.wait(kPatience));
  const auto ready = ask(std::move(pending), told);
  CHECK(ready.is_done());
  const auto empty = ask(mews::PendingReply(), told);
  CHECK(empty.is_done());
  const auto late = ask(must(pair.here().start("x", {.type = kEcho}, 0ms)), told);
  CHECK(late.is_done());
  CHECK(told == std::vector<std::string>{"x", "invalid_argument", "timed_out"});
}

TEST_CASE("await: a coroutine that is destroyed while it waits cancels its call") {
  LinkPair pair;
  std::vector<std::string> told;
  {
    const auto task = ask(must(pair.here().start("x", {.type = kEcho}, mews::forever)), told);
    CHECK(!task.is_done());
  }
  // The other end learns that, and answers for its program.
  CHECK(outcome(pair.there().try_accept()) == "would_block");
  {
    // Also when the reply has come, and was not dispatched.
    const auto task = ask(must(pair.here().start("y", {.type = kEcho}, mews::forever)), told);
    auto request = must(pair.there().accept(kPatience));
    answer(request);
  }
  CHECK(is_all_back(pair));
  CHECK(told.empty());
}

TEST_CASE("await: a coroutine may be destroyed by another one that the same dispatch resumes") {
  LinkPair pair;
  std::vector<std::string> told;
  std::vector<Task> tasks;
  const auto first = [&](mews::PendingReply pending) -> Task {
    (void)co_await std::move(pending);
    tasks.clear();
    told.emplace_back("first");
  };
  const auto task = first(must(pair.here().start("x", {.type = kEcho}, kPatience)));
  for (int i = 0; i < 3; ++i)
    tasks.push_back(ask(must(pair.here().start("y", {.type = kEcho}, kPatience)), told));
  for (int i = 0; i < 4; ++i) {
    auto request = must(pair.there().accept(kPatience));
    answer(request);
  }
  dispatch_until(pair.here(), 1, told);
  (void)pair.here().dispatch();
  CHECK(told == std::vector<std::string>{"first"});
  CHECK(is_all_back(pair));
}

TEST_CASE("await: once the deadline has passed the loop may resume it, and it is timed out") {
  LinkPair pair;
  std::vector<std::string> told;
  auto task = ask(must(pair.here().start("x", {.type = kEcho}, 20ms)), told);
  REQUIRE(!task.is_done());
  std::this_thread::sleep_for(30ms);
  (void)pair.here().dispatch();
  CHECK(told.empty());
  task.resume();
  CHECK(told == std::vector<std::string>{"timed_out"});
  // Not resumed again by an answer.
  CHECK(outcome(pair.there().try_accept()) == "would_block");
  CHECK(is_all_back(pair));
}

TEST_CASE("await: a death resumes all that wait") {
  auto host = must(mews::Session::create());
  auto plugin = must(host.spawn("fonts", {MEWS_TEST_BIN_DIR "/link_plugin"}));
  auto link = must(mews::Link::over(std::move(plugin.channel())));
  std::vector<std::string> told;
  std::vector<Task> tasks;
  for (int i = 0; i < 3; ++i)
    tasks.push_back(ask(must(link.start("", {.type = kHang}, mews::forever)), told));
  must(plugin.kill(SIGKILL));
  dispatch_until(link, 3, told);
  CHECK(told == std::vector<std::string>(3, "peer_died"));
}

#endif
