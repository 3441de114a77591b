// SPDX-License-Identifier: MIT
#include <algorithm>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "asio_support.hpp"

using namespace asio_test;

namespace {

enum class Step { reply, poll, cancel, destroy, end_peer };

/// A call and an accept wait, and a call that has no credit; each handler may be called once.
struct Waiting {
  Waiting() {
    note(0);
    note(1);
    link->async_accept([this, kept = alive](const mews::Result<mews::Request>&) { ++calls[2]; });
  }
  void note(std::size_t i) {
    link->async_call("x", {.type = kEcho}, mews::forever,
                     [this, i, kept = alive](const mews::Result<mews::Message>&) { ++calls[i]; });
  }
  void take(Step step) {
    switch (step) {
      case Step::reply:
        if (auto request = pair.there().try_accept()) answer(*request);
        (void)pair.there().start("y", {}, mews::forever);
        return;
      case Step::poll:
        context->restart();
        context->poll();
        return;
      case Step::cancel:
        if (link) link->cancel();
        return;
      case Step::destroy:
        link.reset();
        return;
      case Step::end_peer:
        pair.end_plugin();
        return;
    }
  }

  LinkPair pair{{}, {.credits = 1}};
  std::optional<net::io_context> context{std::in_place};
  std::optional<mews::AsyncLink> link{std::in_place, context->get_executor(), pair.here()};
  std::shared_ptr<int> alive = std::make_shared<int>();
  int calls[3] = {};
};

}  // namespace

TEST_CASE("asio: reply, cancel, destroy and the peer's end, in every order") {
  std::vector<Step> steps{Step::reply, Step::poll, Step::cancel, Step::destroy, Step::end_peer};
  int bad = 0;
  do {
    for (const bool polls_between : {false, true}) {
      for (const bool polls_first : {false, true}) {
        Waiting waiting;
        if (polls_first) waiting.take(Step::poll);
        for (const Step step : steps) {
          // The reply needs a plugin.
          const auto end = std::find(steps.begin(), steps.end(), Step::end_peer);
          if (step == Step::reply && std::find(steps.begin(), end, Step::reply) == end) continue;
          waiting.take(step);
          if (polls_between) waiting.take(Step::poll);
        }
        const bool ends_polled = polls_between || steps.back() == Step::poll;
        if (ends_polled) {
          waiting.take(Step::poll);
          for (const int calls : waiting.calls)
            bad += calls == 1 ? 0 : 1;
        }
        waiting.context.reset();
        for (const int calls : waiting.calls)
          bad += calls <= 1 ? 0 : 1;
        // No handler is left behind.
        bad += waiting.alive.use_count() == 1 ? 0 : 1;
        bad += waiting.pair.here().open_calls() <= 1 ? 0 : 1;
      }
    }
  } while (std::next_permutation(steps.begin(), steps.end()));
  CHECK(bad == 0);
}

TEST_CASE("asio: a context that is destroyed destroys coroutines that own their link") {
  const bool has_begun = GENERATE(false, true);
  LinkPair pair;
  auto alive = std::make_shared<int>();
  {
    net::io_context context;
    const auto wait = [](mews::AsyncLink link, std::shared_ptr<int>,
                         bool calls) -> net::awaitable<void> {
      if (calls) {
        (void)co_await link.async_call("x", {}, mews::forever, kAwait);
      } else {
        (void)co_await link.async_accept(kAwait);
      }
    };
    for (const bool calls : {false, true}) {
      net::co_spawn(context,
                    wait(mews::AsyncLink(context.get_executor(), pair.here()), alive, calls),
                    net::detached);
    }
    if (has_begun) context.poll();
  }
  CHECK(alive.use_count() == 1);
  // The call was cancelled.
  CHECK(outcome(pair.there().try_accept()) == "would_block");
  CHECK(is_all_back(pair));
}

TEST_CASE("asio: a link may be destroyed by a handler of its own, and by another thread") {
  LinkPair pair;
  pair.serve();
  std::atomic<int> calls{0};
  for (int round = 0; round < 100; ++round) {
    net::io_context context;
    std::optional<mews::AsyncLink> link(std::in_place, context.get_executor(), pair.here());
    for (int i = 0; i < 8; ++i) {
      link->async_call("x", {.type = kEcho}, kPatience, [&, i](const mews::Result<mews::Message>&) {
        ++calls;
        if (i == 0 && round % 2 == 0) link.reset();
      });
    }
    const Runners runners(context, 2);
    if (round % 2 == 1) link.reset();
  }
  CHECK(calls == 800);
  CHECK(is_all_back(pair));
}

TEST_CASE("asio: the handler's executor and allocator are used") {
  LinkPair pair;
  pair.serve();
  net::io_context context;
  net::io_context other;
  mews::AsyncLink link(context.get_executor(), pair.here());
  struct Counted : std::pmr::memory_resource {
    void* do_allocate(std::size_t bytes, std::size_t alignment) override {
      ++taken;
      ++live;
      return std::pmr::new_delete_resource()->allocate(bytes, alignment);
    }
    void do_deallocate(void* memory, std::size_t bytes, std::size_t alignment) override {
      --live;
      std::pmr::new_delete_resource()->deallocate(memory, bytes, alignment);
    }
    [[nodiscard]] bool do_is_equal(const memory_resource& with) const noexcept override {
      return this == &with;
    }
    int taken = 0;
    int live = 0;
  } memory;
  struct Handler {
    using allocator_type = std::pmr::polymorphic_allocator<std::byte>;
    using executor_type = net::io_context::executor_type;
    [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(&memory); }
    [[nodiscard]] executor_type get_executor() const noexcept { return other.get_executor(); }
    void operator()(const mews::Result<mews::Message>& reply) const {
      told.texts.push_back(text_of(reply));
      told.texts.push_back(std::to_string(memory.live));
    }
    Counted& memory;
    net::io_context& other;
    Told& told;
  };
  Told told;
  link.async_call("x", {.type = kEcho}, kPatience, Handler{memory, other, told});
  context.run();
  CHECK(told.texts.empty());
  other.run();
  // All memory was free again when the handler was called.
  CHECK(told.texts == std::vector<std::string>{"x", "0"});
  CHECK(memory.taken > 0);
  CHECK(memory.live == 0);
}
