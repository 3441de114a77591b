// SPDX-License-Identifier: MIT
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/look_timer.hpp"
#include "mews/layout/geometry.hpp"
#include "mews/mem/arena.hpp"
#include "mews/mews.hpp"
#include "mews/os/membarrier.hpp"
#include "mews/sync/gate.hpp"
#include "mews/sync/role.hpp"
#include "mews/sync/turn.hpp"
#include "model/order_log.hpp"
#include "model/order_words.hpp"
#include "model/process.hpp"
#include "support/arena_fixture.hpp"
#include "support/catch.hpp"
#include "support/lane_fixture.hpp"

// Every ordered publication of the library, and the observation that is its partner. A release that
// is deleted makes the row of its step fail.
namespace mews::model {
namespace {

using base::Step;
using mews_test::value_or_throw;

constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;
constexpr auto kSeqCst = std::memory_order_seq_cst;

/// Of a session's arena, which other processes map too.
constexpr Row kShared[] = {
    // The header's fields, before the arena is ready.
    {"create", "ready", Step::store, Which::last, kRelease},
    // An entry, before its seat is in use, or offered, or left, or free.
    {"create", "host's seat", Step::store, Which::last, kRelease},
    {"connect", "plugin's seat", Step::store, Which::last, kRelease},
    {"connect", "plugin's seat", Step::exchange, Which::last, kAcquire},
    {"leave", "plugin's seat", Step::store, Which::last, kRelease},
    {"vacate", "plugin's seat", Step::store, Which::last, kRelease},
    // That nobody reads here any more, before the bell.
    {"leave", "readers left", Step::store, Which::last, kRelease},
    // The position at which a loop is armed, before the look whether the timer runs.
    {"arm for a loop", "anything", Step::local_store, Which::one, kSeqCst},
    // The registration for the fence, before it is announced.
    {"create", "host's fences", Step::store, Which::last, kRelease},
    {"connect", "plugin's fences", Step::store, Which::last, kRelease},
    {"send", "plugin's fences", Step::load, Which::every, kAcquire},
    // The bytes of a slab, before its next holder has them.
    {"loan", "truth words", Step::exchange, Which::first, kAcquire},
    {"send", "truth words", Step::exchange, Which::every, kSeqCst},
    {"receive", "truth words", Step::exchange, Which::every, kAcquire},
    {"drop", "truth words", Step::exchange, Which::every, kSeqCst},
    {"drop", "hints", Step::load, Which::every, kSeqCst},
    {"drop a run", "truth words of the largest", Step::exchange, Which::every, kSeqCst},
    {"exhaust", "hints", Step::exchange, Which::every, kSeqCst},
    {"vacate", "truth words", Step::load, Which::every, kSeqCst},
    {"vacate", "truth words", Step::exchange, Which::every, kSeqCst},
    // The hint of a full chunk: set again by who frees a slab of it.
    {"free of a full chunk", "hints", Step::exchange, Which::every, kSeqCst},
    // A record, before its mark; the reads of a record, before its cells go back.
    {"send", "marks", Step::store, Which::last, kRelease},
    {"receive", "marks", Step::load, Which::every, kAcquire},
    {"receive nothing", "marks", Step::load, Which::every, kAcquire},
    {"receive nothing", "heads", Step::store, Which::every, kRelease},
    {"fill the lane", "heads", Step::load, Which::every, kAcquire},
};

/// Of one process.
constexpr Row kPrivate[] = {
    {"read a header", "ready", Step::load, Which::every, kAcquire},
    // A role's state, before its next holder.
    {"enter", "role", Step::local_exchange, Which::first, kAcquire},
    {"leave", "role", Step::local_store, Which::every, kRelease},
    {"get the bias", "role", Step::local_store, Which::last_two, kRelease},
    {"enter by bias", "role", Step::load, Which::last, kAcquire},
    {"leave by bias", "role", Step::local_store, Which::every, kRelease},
    {"enter where another is", "role", Step::load, Which::last, kAcquire},
    {"enter where another is", "role", Step::local_store, Which::last, kRelease},
    {"take a turn", "turn", Step::local_exchange, Which::every, kAcquire},
    {"wait for a turn", "turn", Step::local_exchange, Which::every, kAcquire},
    {"leave a turn", "turn", Step::local_exchange, Which::every, kRelease},
    // That the timer stands still, before the look at the positions.
    {"rest", "timer", Step::local_store, Which::every, kSeqCst},
    {"look for a loop", "channel", Step::load, Which::first, kSeqCst},
    // The records that were dealt with, before a position behind them.
    {"advance", "consumer", Step::local_store, Which::every, kRelease},
    {"ask for the position", "consumer", Step::load, Which::every, kAcquire},
    {"look while spinning", "first mark", Step::load, Which::every, kAcquire},
    // A change, before the look for who waits in this process.
    {"notify", "gate", Step::load, Which::every, kSeqCst},
    // An end, before the bells and before the scan that takes back.
    {"end a channel", "channel", Step::local_store, Which::every, kSeqCst},
    {"ask a channel", "channel", Step::load, Which::every, kSeqCst},
    {"receive from it", "channel's end", Step::load, Which::first, kAcquire},
    {"end a session", "session", Step::local_store, Which::every, kSeqCst},
    {"ask a session", "session", Step::load, Which::every, kSeqCst},
};

/// With the light fence, as far as roles and channels ask whether there is one.
struct ModelledFence {
  ModelledFence() { os::has_modelled_fence = true; }
  ModelledFence(const ModelledFence&) = delete;
  ModelledFence& operator=(const ModelledFence&) = delete;
  ~ModelledFence() { os::has_modelled_fence = false; }
};

constexpr std::uint32_t kSlabs = 64;
constexpr std::size_t kSmall = 1000;
constexpr std::size_t kRun = std::size_t{8} << 20;

CreateOptions small_arena() {
  return {.name = "orders",
          .size_classes = {{1024, kSlabs}, {4 << 20, 4}},
          .max_plugins = 2,
          .ring_cells = 32,
          .fallback_classes = 0,
          .reply_slabs = 0,
          .local = {.watcher = Watcher::none}};
}

}  // namespace

TEST_CASE(
    "order: what processes publish to each other is released, and acquired where it is read") {
  const ModelledFence fence;
  Recorder record;
  std::optional<Session> host;
  record.run("create", [&] { host.emplace(value_or_throw(Session::create(small_arena()))); });
  const Mapped mapped("orders");
  std::optional<Plugin> plugin;
  std::optional<Session> guest;
  record.run("connect", [&] {
    auto ends = value_or_throw(host->connect("guest"));
    plugin.emplace(std::move(ends.first));
    guest.emplace(std::move(ends.second));
  });

  Loan loan;
  record.run("loan", [&] { loan = value_or_throw(plugin->channel().try_loan(kSmall)); });
  record.run("send", [&] { REQUIRE(plugin->channel().try_send(std::move(loan))); });
  std::optional<Message> message;
  record.run("receive", [&] { message.emplace(value_or_throw(guest->channel().try_receive())); });
  record.run("receive nothing", [&] { CHECK_FALSE(guest->channel().try_receive()); });
  record.run("drop", [&] { message.reset(); });

  record.run("arm for a loop", [&] { CHECK(value_or_throw(plugin->channel().arm_event())); });

  std::vector<Loan> loans;
  record.run("exhaust", [&] {
    while (auto one = plugin->channel().try_loan(kSmall))
      loans.push_back(std::move(*one));
  });
  CHECK(loans.size() == kSlabs);
  record.run("free of a full chunk", [&] { loans.pop_back(); });
  loans.clear();
  loan = value_or_throw(plugin->channel().try_loan(kRun));
  record.run("drop a run", [&] { loan = Loan(); });

  // Nobody receives it: whoever takes back what is left has something to free.
  loan = value_or_throw(plugin->channel().try_loan(kSmall));
  REQUIRE(plugin->channel().try_send(std::move(loan)));
  record.run("fill the lane", [&] {
    while (plugin->channel().try_send(std::as_bytes(std::span("x")))) {
    }
  });
  record.run("leave", [&] { guest.reset(); });
  record.run("vacate", [&] {
    host->process_events();
    plugin.reset();
  });
  record.check(kShared, mapped.kinds());
}

TEST_CASE("order: what threads of a process publish to each other is released and acquired") {
  const ModelledFence fence;
  Recorder record;
  std::map<std::string, WordKind> kinds;

  layout::ArenaHeader header{};
  kinds["ready"] = WordKind::within(header.ready);
  record.run("read a header", [&] { (void)layout::read_geometry(header, sizeof header); });

  sync::Role role;
  kinds["role"] = WordKind::within(role);
  sync::Role::Slot* inside = nullptr;
  record.run("enter", [&] { inside = role.try_enter(); });
  REQUIRE(inside != nullptr);
  record.run("leave", [&] { sync::Role::leave(*inside); });
  for (int i = 0; i < 14; ++i)
    REQUIRE(sync::RoleGuard(role));
  record.run("get the bias", [&] { inside = role.try_enter(); });
  REQUIRE(inside != nullptr);
  record.run("leave by bias", [&] { sync::Role::leave(*inside); });
  record.run("enter by bias", [&] { inside = role.try_enter(); });
  REQUIRE(inside != nullptr);
  sync::Role::Slot* elsewhere = nullptr;
  record.run("enter where another is",
             [&] { std::thread([&] { elsewhere = role.try_enter(); }).join(); });
  CHECK(elsewhere == nullptr);
  sync::Role::leave(*inside);

  sync::Turn turn;
  kinds["turn"] = WordKind::within(turn);
  record.run("take a turn", [&] { CHECK(turn.try_enter()); });
  record.run("wait for a turn", [&] {
    CHECK(turn.enter(std::chrono::seconds(0), [] { return false; }) == sync::Turned::late);
  });
  record.run("leave a turn", [&] { turn.leave(); });

  const auto timer = value_or_throw(detail::LookTimer::make());
  kinds["timer"] = WordKind::within(*timer);
  record.run("rest", [&] { timer->rest(); });

  mews_test::Lane lane;
  kinds["consumer"] = WordKind::within(lane.consumer);
  layout::Descriptor descriptor;
  REQUIRE(lane.producer.try_stage(mews_test::message(1), {}, ring::Room::ordinary) ==
          ring::Push::done);
  lane.producer.publish();
  kinds["first mark"] = WordKind::within(lane.cells[0].mark);
  record.run("look while spinning", [&] { CHECK(lane.consumer.has_record()); });
  REQUIRE(lane.consumer.look(descriptor) == ring::Look::record);
  record.run("advance", [&] { lane.consumer.advance(descriptor); });
  record.run("ask for the position", [&] { (void)lane.consumer.position(); });

  sync::Gate gate;
  kinds["gate"] = WordKind::within(gate);
  record.run("notify", [&] { gate.notify(); });

  Words words;
  TinyArena tiny({.slabs = 4, .chunk_slabs = 4}, words);
  Process host(tiny, words, kHost, kPlugin);
  tiny.reset();
  host.reset();
  kinds["channel"] = WordKind::within(host.channel());
  kinds["session"] = WordKind::within(host.session());
  record.run("look for a loop", [&] { CHECK_FALSE(host.channel().look_for_loop()); });
  record.run("end a channel", [&] { host.channel().end(ErrorCode::peer_died, "gone"); });
  for (const auto& one : record.of("end a channel")) {
    if (one.step == Step::local_store) kinds["channel's end"] = {one.word};
  }
  record.run("ask a channel", [&] { (void)host.channel().ended(); });
  record.run("receive from it", [&] { CHECK_FALSE(host.receive()); });
  record.run("end a session", [&] { host.session().end(ErrorCode::host_died); });
  record.run("ask a session", [&] { (void)host.session().ended(); });
  record.check(kPrivate, kinds);
}

}  // namespace mews::model
