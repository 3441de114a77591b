// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>

#include <optional>
#include <string>
#include <utility>

#include "../process/site.hpp"
#include "mews/ids.hpp"
#include "mews/mem/arena.hpp"

/// A host with one plugin that scribbles and one that behaves, all in one process, and a second
/// view of the arena to scribble through.
namespace hostile_test {

using namespace process_test;

/// A descriptor of this process's memfd of that name.
[[nodiscard]] inline mews::os::UniqueFd find_memfd(const std::string& name) {
  for (int fd = 0; fd < 1024; ++fd) {
    char target[256] = {};
    const auto path = "/proc/self/fd/" + std::to_string(fd);
    if (::readlink(path.c_str(), target, sizeof target - 1) <= 0) continue;
    if (std::string(target).starts_with("/memfd:" + name + " ")) {
      return mews::os::UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
    }
  }
  throw std::runtime_error("no memfd " + name);
}

[[nodiscard]] inline mews::CreateOptions stage_arena() {
  mews::CreateOptions options;
  options.name = unique_name("stage");
  options.size_classes = {{1024, 64}, {16384, 16}, {1 << 20, 8}};
  options.reply_slabs = 0;
  options.ring_cells = 64;
  options.max_plugins = 4;
  return options;
}

class Stage {
 public:
  explicit Stage(const mews::CreateOptions& options = stage_arena())
      : host_(must(mews::Session::create(options))),
        arena_(must(mews::mem::Arena::attach(
            mews::os::MemoryFile::adopt(find_memfd("mews-" + options.name)), 1s))),
        raw_(must(mews::os::Mapping::map(arena_.file(), arena_.geometry().arena_bytes))) {
    auto evil = must(host_.connect("evil"));
    evil_.emplace(std::move(evil.first));
    evil_guest_.emplace(std::move(evil.second));
    auto good = must(host_.connect("good"));
    good_.emplace(std::move(good.first));
    good_guest_.emplace(std::move(good.second));
  }

  [[nodiscard]] mews::Session& host() noexcept { return host_; }
  [[nodiscard]] const mews::mem::Arena& arena() const noexcept { return arena_; }
  /// All of the arena's bytes, the header's too, to be overwritten.
  [[nodiscard]] std::byte* raw() const noexcept { return raw_.bytes().data(); }
  [[nodiscard]] mews::Plugin& evil() noexcept { return *evil_; }
  [[nodiscard]] mews::Plugin& good() noexcept { return *good_; }
  /// The host's ends.
  [[nodiscard]] mews::Channel& from_evil() noexcept { return evil_->channel(); }
  [[nodiscard]] mews::Channel& from_good() noexcept { return good_->channel(); }
  /// The plugins' ends.
  [[nodiscard]] mews::Channel& to_host() noexcept { return evil_guest_->channel(); }
  [[nodiscard]] mews::Channel& good_to_host() noexcept { return good_guest_->channel(); }

  [[nodiscard]] mews::LaneId lane_to_host() const noexcept {
    return mews::LaneId{2 * evil_->peer().value() - 1};
  }
  [[nodiscard]] mews::LaneId lane_to_evil() const noexcept {
    return mews::LaneId{2 * evil_->peer().value() - 2};
  }
  [[nodiscard]] mews::layout::Cell& cell(std::size_t index) const noexcept {
    return arena_.cells(lane_to_host())[index];
  }
  /// The truth word of a slab.
  [[nodiscard]] mews::layout::AtomicTruthWord& truth(std::uint32_t size_class,
                                                     std::uint32_t index) const noexcept {
    return arena_.view(mews::ClassId{size_class}).words[index];
  }

  /// The other plugin's messages still come and go whole; what went wrong, or nothing.
  [[nodiscard]] std::string good_round_trips() {
    for (const std::size_t bytes : {0u, 100u, 480u, 481u, 5'000u, 1'000'000u, 3'000'000u}) {
      auto loan = from_good().loan(bytes, 1s);
      if (!loan) return loan.error().message();
      fill(loan->bytes(), bytes);
      if (auto sent = from_good().send(std::move(*loan), {}, 1s); !sent) return outcome(sent);
      auto at_guest = good_to_host().receive(1s);
      if (!at_guest) return outcome(at_guest);
      auto back = good_to_host().send(std::move(*at_guest).into_loan(), {}, 1s);
      if (!back) return outcome(back);
      const auto reply = from_good().receive(1s);
      if (!reply) return outcome(reply);
      if (reply->size() != bytes || !is_filled(reply->bytes(), bytes)) return "other bytes";
    }
    return {};
  }

  /// A plugin within the process stays in its seat while it seems to hold anything.
  void forget_what_evil_holds() const {
    for (std::uint32_t c = 0; c < arena_.class_count(); ++c) {
      const auto& view = arena_.view(mews::ClassId{c});
      for (std::uint32_t i = 0; i < view.geometry.slab_count; ++i) {
        const auto word =
            mews::layout::TruthWord::unpack(view.words[i].load(std::memory_order_relaxed));
        if (word.holder == evil_->peer().value()) view.words[i].store(0, std::memory_order_relaxed);
      }
    }
  }

  /// The scribbler goes, and is taken back.
  void remove_evil() {
    evil_guest_.reset();
    must(evil_->wait_exit(kPatience));
    evil_.reset();
  }

 private:
  mews::Session host_;
  mews::mem::Arena arena_;
  mews::os::Mapping raw_;
  std::optional<mews::Plugin> evil_;
  std::optional<mews::Plugin> good_;
  std::optional<mews::Session> evil_guest_;
  std::optional<mews::Session> good_guest_;
};

}  // namespace hostile_test
