// SPDX-License-Identifier: MIT
#include "model/process.hpp"

#include <cstring>

#include "mews/os/wake.hpp"

namespace mews::model {
namespace {

/// Both ends': nobody sleeps in the event loop of a plugin.
struct ModelWake final : os::WakeEnd {
  [[nodiscard]] int event_fd() const noexcept override { return -1; }
  [[nodiscard]] int hang_up_fd() const noexcept override { return -1; }
  void signal_other() noexcept override { signal(); }
  void signal_own() noexcept override { signal(); }
  void drain() noexcept override {}
  static void signal() noexcept {
    if (wake_model != nullptr) wake_model();
  }
};

constexpr LocalOptions kNoSpin{.spin_limit = std::chrono::nanoseconds::zero()};

PeerId id_of(int peer) {
  return PeerId{static_cast<std::uint32_t>(peer)};
}

std::uint64_t word_at(std::span<const std::byte> bytes, std::size_t offset) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes.data() + offset, sizeof word);
  return word;
}

}  // namespace

Process::Process(TinyArena& tiny, Words& words, int peer, int plugin)
    : tiny_(tiny), peer_(peer), plugin_(plugin) {
  const std::string name = peer == kHost ? "host" : peer == kPlugin ? "plugin" : "other";
  words.add_object(name + ".session", session_);
  words.add_object(name + ".channel", channel_);
}

void Process::reset() {
  channel_.reset();
  session_.emplace(std::shared_ptr<const mem::Arena>(std::shared_ptr<void>(), &tiny_.arena()),
                   id_of(peer_), kNoSpin);
  // Owned here, so that a killed process keeps nothing alive, and words keep their addresses.
  channel_.emplace(std::shared_ptr<detail::PeerContext>(std::shared_ptr<void>(), &*session_),
                   id_of(plugin_), std::make_unique<ModelWake>());
}

std::optional<Loan> Process::loan(std::size_t bytes) {
  Result<Loan> loan;
  channel_->loan(loan, bytes, detail::Timeout(forever));
  if (loan) return std::move(*loan);
  expect(is_end(loan.error().code()), "a wait for a slab ended without a slab");
  return std::nullopt;
}

void write_payload(Loan& loan, std::uint64_t correlation) {
  std::memcpy(loan.bytes().data(), &correlation, sizeof correlation);
  std::memcpy(loan.bytes().data() + loan.size() - sizeof correlation, &correlation,
              sizeof correlation);
}

bool Process::send(std::uint64_t correlation, std::size_t bytes) {
  auto lent = loan(bytes);
  if (!lent) return false;
  write_payload(*lent, correlation);
  const auto sent =
      channel_->send(*lent, {.type = 0, .correlation = correlation}, detail::Timeout(forever));
  expect(sent.has_value() || is_end(sent.error().code()), "a send fails though all is well");
  return sent.has_value();
}

Result<Message> Process::receive() {
  Result<Message> message;
  channel_->receive(message, detail::Timeout(forever));
  if (message) {
    expect_intact(*message);
  } else {
    expect(is_end(message.error().code()), "a published message is not delivered");
  }
  return message;
}

void Process::expect_intact(const Message& message) {
  const auto bytes = message.bytes();
  expect(word_at(bytes, 0) == message.correlation() &&
             word_at(bytes, bytes.size() - 8) == message.correlation(),
         "a message does not say what was written into it");
  const auto& view = tiny_.view();
  const auto offset = static_cast<std::size_t>(bytes.data() - view.slabs);
  if (bytes.size() <= kMostInlineBytes) return;
  const auto word = layout::TruthWord::unpack(
      view.words[offset / view.geometry.slab_bytes].load(std::memory_order_relaxed));
  expect(word.phase == layout::Phase::held && word.holder == peer_,
         "a slab that was being read was taken away");
}

void Process::on_death() {
  if (peer_ == kHost) {
    detail::recover_plugin(*session_, *channel_, 0, "gone");
  } else {
    detail::on_host_death(*session_, *channel_, ErrorCode::host_died);
  }
}

void Process::expect_all_received() {
  Result<Message> message;
  channel_->receive(message, detail::Timeout::none());
  expect(!message, "a published message was not delivered");
}

bool is_end(ErrorCode code) {
  return code == ErrorCode::peer_died || code == ErrorCode::host_died || code == ErrorCode::closed;
}

}  // namespace mews::model
