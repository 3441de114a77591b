// SPDX-License-Identifier: MIT
#include "mews/detail/peer_context.hpp"

#include <fmt/format.h>

#include <new>

#include "longest_sleep.hpp"
#include "look_timer.hpp"
#include "mews/loan.hpp"
#include "mews/mem/census.hpp"
#include "texts.hpp"
#include "wake_on_stop.hpp"

namespace mews::inline MEWS_LAYOUT::detail {
namespace {

/// Returns nothing when out of memory: then an error says less.
std::optional<mem::Census> count_slabs(const mem::Arena& arena, ClassId id) noexcept {
  try {
    return mem::Census(arena, id);
  } catch (const std::bad_alloc&) {
    return std::nullopt;
  }
}

std::string holders_text(const PeerContext& core, const std::optional<mem::Census>& census) {
  if (!census) return "the holders are not known";
  std::string text;
  for (const auto& holding : census->holdings()) {
    if (!text.empty()) text += ", ";
    text += core.peer_name(holding.peer);
    if (holding.held > 0) text += fmt::format(" holds {}", holding.held);
    if (holding.in_flight > 0) text += fmt::format(" has {} in flight", holding.in_flight);
    text += fmt::format(" ({} throughout)", holding.unchanged);
  }
  return text.empty() ? "nobody holds any now" : text;
}

void wake_waiters(sync::Gate& gate, sync::Doorbell bell) {
  gate.interrupt();
  (void)bell.ring_always();
}

}  // namespace

PeerContext::PeerContext(std::shared_ptr<const mem::Arena> arena, PeerId self,
                         const LocalOptions& local)
    : arena_(std::move(arena)),
      self_(self),
      local_(local),
      loop_yielder_(turns()),
      pool_(*arena_, self, this),
      fallback_classes_(arena_->geometry().fallback_classes),
      freed_bells_(arena_->pool().freed_bell) {}

std::shared_ptr<PeerContext> PeerContext::make(std::shared_ptr<const mem::Arena> arena, PeerId self,
                                               const LocalOptions& local) {
  return {new PeerContext(std::move(arena), self, local), [](PeerContext* core) {
            // In a forked child this copy has no mapping, and loans and messages point at it.
            if (!core->is_own()) return base::leak_on_purpose(core->leaked_);
            if (core->out_.close()) core->destroy();
          }};
}

PeerContext::~PeerContext() {
  if (!epoch_ || !is_own()) return;
  // Release: all that this process did in the arena, before the host reads `left`. Partner:
  // `seat_of` in host_leave.cpp.
  arena_->peer(self_).seat.store(layout::SeatWord{layout::PeerState::left, *epoch_}.pack(),
                                 std::memory_order_release);
}

void PeerContext::destroy() noexcept {
  delete this;
}

void PeerContext::set_look_timer(std::unique_ptr<LookTimer> timer) noexcept {
  look_timer_ = std::move(timer);
}

Deadline PeerContext::next_look(Deadline deadline, Deadline::Clock::time_point now) const noexcept {
  return self_ == kHostPeer ? deadline.within(longest_sleep, now) : deadline;
}

bool PeerContext::is_attached(PeerId peer) const noexcept {
  // Relaxed: only for a figure and for the length of a spin.
  const auto seat = arena_->peer(peer).seat.load(std::memory_order_relaxed);
  return layout::SeatWord::unpack(seat).state == layout::PeerState::attached;
}

std::string PeerContext::absence_text(PeerId peer) const {
  // Relaxed: for a text.
  const auto seat = arena_->peer(peer).seat.load(std::memory_order_relaxed);
  if (layout::SeatWord::unpack(seat).state != layout::PeerState::invited) return {};
  return "; it has not attached yet: does its program call Session::attach?";
}

std::string PeerContext::peer_name(PeerId peer) const {
  if (peer == kHostPeer) return "host";
  if (peer.value() >= arena_->geometry().peer_capacity) return fmt::format("peer {}", peer.value());
  auto name = printable(arena_->peer(peer).name, layout::kPeerNameBytes);
  return name.empty() ? fmt::format("peer {}", peer.value()) : name;
}

ClassId PeerContext::class_to_wait_for(std::uint64_t bytes) const noexcept {
  const auto& geometry = arena_->geometry();
  return ClassId{geometry.class_for(bytes).value_or(geometry.class_count - 1)};
}

Result<void> PeerContext::claim(mem::Slab& slab, std::uint64_t bytes, Timeout timeout,
                                mem::Purpose purpose) {
  const auto give_up_at = [&] {
    return timeout.may_wait() ? until(timeout).deadline : Deadline(forever);
  };
  auto claimed = pool_.try_claim(slab, bytes, give_up_at, purpose);
  if (claimed || claimed.error().code() != ErrorCode::no_slab || !timeout.may_wait()) {
    return claimed;
  }
  return wait_for_slab(slab, bytes, until(timeout), purpose);
}

void PeerContext::release_slow(const mem::Slab& slab) noexcept {
  pool_.release(slab);
}

std::optional<ErrorCode> PeerContext::why_not_wait() const noexcept {
  if (const auto why = ended()) return why;
  if (self_ == kHostPeer) return std::nullopt;
  // Relaxed: a `leave` that is missed here rings the bell afterwards. The fences of `arm` and
  // `ring_always` order it.
  const auto host = arena_->peer(kHostPeer).seat.load(std::memory_order_relaxed);
  const bool has_left = layout::SeatWord::unpack(host).state == layout::PeerState::left;
  return has_left ? std::optional(ErrorCode::closed) : std::nullopt;
}

Result<void> PeerContext::wait_for_slab(mem::Slab& slab, std::uint64_t bytes, const Until& until,
                                        mem::Purpose purpose) {
  const auto id = class_to_wait_for(bytes);
  const auto census = count_slabs(*arena_, id);
  const sync::Doorbell bell(freed_bells_[id.value()]);
  // Has a value once a slab was claimed, or once more waiting cannot help: the gate asks for that.
  using Outcome = std::optional<Result<void>>;
  // The lead looks again after arming. Its next attempt returns the outcome of that look.
  Outcome found;
  const auto attempt = [&]() -> Outcome {
    if (found) return std::exchange(found, std::nullopt);
    if (const auto why = why_not_wait()) return fail(*why);
    auto claimed = pool_.try_claim(
        slab, bytes, [&until] { return until.deadline; }, purpose);
    if (claimed || claimed.error().code() != ErrorCode::no_slab) return claimed;
    if (until.is_cancelled()) return fail(ErrorCode::cancelled);
    return std::nullopt;
  };
  const auto sleep = [&](Deadline deadline) {
    const auto ticket = bell.arm(sync::Sleeper::futex, sync::ArmFence::full);
    found = attempt();
    if (!found) bell.sleep(ticket, deadline.within(longest_sleep));
  };
  auto& gate = gates_[id.value()];
  // This thread sleeps at the gate, or, as the lead for all threads, on the bell.
  const WakeOnStop stop(until, [&gate, &bell] { wake_waiters(gate, bell); });
  if (auto last = gate.wait(until.deadline, attempt, sleep)) return *std::move(last);
  return fail(ErrorCode::timed_out, detail_text([&] {
                return claim_timeout_text(bytes, id, Deadline::Clock::now() - until.began,
                                          holders_text(*this, census));
              }));
}

std::string PeerContext::claim_timeout_text(std::uint64_t bytes, ClassId id,
                                            Deadline::Clock::duration waited,
                                            const std::string& holders) const {
  const auto slab_bytes = arena_->view(id).geometry.slab_bytes;
  const auto wanted =
      bytes > slab_bytes ? fmt::format("no {} adjacent {} slabs",
                                       (bytes + slab_bytes - 1) / slab_bytes, size_text(slab_bytes))
                         : fmt::format("no {} slab", size_text(slab_bytes));
  return fmt::format("{} for {}: {}", wanted, duration_text(waited), holders);
}

void PeerContext::on_freed(ClassId id) noexcept {
  for (auto i = first_served(id); i <= id.value(); ++i) {
    gates_[i].notify();
    // No event loop waits for slabs.
    (void)sync::Doorbell(freed_bells_[i]).ring(sync::RingFence::after_exchange);
  }
}

void PeerContext::ring_all_freed() noexcept {
  for (std::uint32_t i = 0; i < arena_->class_count(); ++i) {
    gates_[i].notify();
    (void)sync::Doorbell(freed_bells_[i]).ring_always();
  }
}

void PeerContext::leave() noexcept {
  // Release: all that the host did in the arena, before a plugin reads `left`; partner:
  // `GuestCore::on_hung_up`. The bells' fences order it against a waiter's look (`why_not_wait`).
  arena_->peer(self_).seat.store(layout::SeatWord{layout::PeerState::left}.pack(),
                                 std::memory_order_release);
  ring_all_freed();
}

void PeerContext::end(ErrorCode why) noexcept {
  // [C1] seq_cst: before the bells; partner: the waiter's look after arming [C2].
  ended_.store(static_cast<int>(why), std::memory_order_seq_cst);
  ring_all_freed();
}

std::optional<ErrorCode> PeerContext::ended() const noexcept {
  // [C2] seq_cst: a waiter's look, after it has armed its bell; partner [C1].
  const auto code = ended_.load(std::memory_order_seq_cst);
  return code < 0 ? std::nullopt : std::optional(static_cast<ErrorCode>(code));
}

}  // namespace mews::inline MEWS_LAYOUT::detail
