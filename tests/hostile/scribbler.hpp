// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "nasty.hpp"
#include "raw_arena.hpp"

/// How a live adversary scribbles: one function for each region of adversary_regions.hpp.
namespace hostile_test {

/// One thread's scribbling. Each call writes a few words.
class Scribbler {
 public:
  Scribbler(const RawArena& arena, std::uint32_t self, std::vector<int> descriptors,
            std::uint64_t seed)
      : arena_(arena), self_(self), descriptors_(std::move(descriptors)), random_(seed) {}

  void scribble(const std::string& region) {
    if (region == "own-lanes") return lane(2 * self_ - 2 + pick(2));
    if (region == "all-lanes") return lane(pick(arena_.geometry().lane_count()));
    if (region == "truth-words") return truth_word();
    if (region == "hints") return hint();
    if (region == "entries") return entry();
    if (region == "control") return any_of(arena_.control());
    if (region == "payloads") return any_of(arena_.payloads());
    if (region == "old-words") return old_word();
    if (region == "futexes") return futex();
    if (region == "descriptors") return descriptor();
    throw std::runtime_error("no such region: " + region);
  }

 private:
  [[nodiscard]] std::uint32_t pick(std::uint64_t count) {
    return static_cast<std::uint32_t>(random_() % count);
  }
  /// Relaxed, as is all of this: who keeps to nothing keeps to no order.
  template <class T>
  void spoil(mews::base::Atomic<T>& word) {
    const auto old = word.load(std::memory_order_relaxed);
    word.store(static_cast<T>(nasty(random_, old)), std::memory_order_relaxed);
  }
  void spoil(std::uint64_t& word) {
    std::atomic_ref shared(word);
    shared.store(nasty(random_, shared.load(std::memory_order_relaxed)), std::memory_order_relaxed);
  }
  void any_of(std::span<std::uint64_t> words) { spoil(words[random_() % words.size()]); }

  void lane(std::uint32_t id) {
    auto& state = arena_.lane(id);
    switch (pick(8)) {
      case 0:
        return spoil(state.head);
      case 1:
        return spoil(state.data_bell);
      case 2:
        return spoil(state.space_bell);
      case 3:
        return spoil(pick(2) == 0 ? state.consumer_role : state.producer_role);
      default:
        return cell(id);
    }
  }
  // A mark that fits its cell more often than not, so that what follows it is looked at.
  void cell(std::uint32_t lane) {
    const auto cells = arena_.cells(lane);
    const auto at = pick(std::min<std::size_t>(cells.size(), 64));
    auto& cell = cells[at];
    auto* words = reinterpret_cast<std::uint64_t*>(&cell);
    if (pick(3) != 0) return spoil(words[pick(sizeof cell / sizeof *words)]);
    const auto sequence = mews::layout::mark_sequence(at + pick(4) * cells.size());
    cell.mark.store(sequence | (random_() & 0xffff), std::memory_order_release);
  }
  void truth_word() {
    const auto view = arena_.view(pick(arena_.geometry().class_count));
    auto& word = view.words[pick(view.geometry.slab_count)];
    if (pick(2) == 0) return spoil(word);
    // One that could be there.
    mews::layout::TruthWord other;
    other.phase = static_cast<mews::layout::Phase>(pick(3));
    other.holder = static_cast<std::uint16_t>(pick(arena_.geometry().peer_capacity));
    other.lane = static_cast<std::uint16_t>(pick(arena_.geometry().lane_count()));
    other.backed_eighths = static_cast<std::uint8_t>(pick(9));
    other.generation = static_cast<std::uint32_t>(pick(1000));
    word.store(other.pack(), std::memory_order_relaxed);
  }
  void hint() {
    const auto id = pick(arena_.geometry().class_count);
    const auto view = arena_.view(id);
    switch (pick(4)) {
      case 0:
        return spoil(arena_.pool().fresh[id]);
      case 1:
        return spoil(arena_.pool().freed_bell[id]);
      case 2:
        return spoil(view.owners[pick(view.geometry.chunk_count)]);
      default:
        return spoil(view.hints[pick((view.geometry.chunk_count + 63) / 64)]);
    }
  }
  void entry() {
    auto& entry = arena_.peer(pick(arena_.geometry().peer_capacity));
    switch (pick(5)) {
      case 0:
        return spoil(entry.pid);
      case 1:
        return spoil(entry.fences);
      case 2:
        return spoil(entry.start_time);
      case 3:
        entry.name[pick(mews::layout::kPeerNameBytes)] = static_cast<char>(random_());
        return;
      default:
        break;
    }
    // A state that could be there more often than not.
    if (pick(2) == 0) return spoil(entry.seat);
    auto seat = mews::layout::SeatWord::unpack(entry.seat.load(std::memory_order_relaxed));
    seat.state = static_cast<mews::layout::PeerState>(pick(5));
    if (pick(2) == 0) seat.epoch += pick(3);
    entry.seat.store(seat.pack(), std::memory_order_relaxed);
  }
  void old_word() {
    if (old_.size() < 4096) {
      const auto at = pick(arena_.control().size());
      const auto word = std::atomic_ref(arena_.control()[at]).load(std::memory_order_relaxed);
      if (word != 0) old_.emplace_back(at, word);
      if (old_.size() < 64) return;
    }
    const auto& [at, word] = old_[pick(old_.size())];
    std::atomic_ref(arena_.control()[at]).store(word, std::memory_order_relaxed);
    if (pick(64) == 0) old_.clear();
  }
  [[nodiscard]] mews::base::Atomic<std::uint32_t>& any_bell() {
    const auto size_class = pick(arena_.geometry().class_count);
    auto& state = arena_.lane(pick(arena_.geometry().lane_count()));
    const auto which = pick(5);
    if (which == 0) return arena_.pool().freed_bell[size_class];
    return which % 2 == 0 ? state.data_bell : state.space_bell;
  }
  void futex() {
    auto& from = any_bell();
    if (pick(2) == 0) {
      ::syscall(SYS_futex, &from, FUTEX_WAKE, 1 + pick(1000), nullptr, nullptr, 0);
    } else {
      ::syscall(SYS_futex, &from, FUTEX_REQUEUE, pick(2), 1000, &any_bell(), 0);
    }
  }
  void descriptor() {
    if (descriptors_.empty()) return;
    const auto fd = descriptors_[pick(descriptors_.size())];
    constexpr std::uint64_t kMost = 0xfffffffffffffffe;
    std::array<std::uint64_t, 8> words{};
    switch (pick(16)) {
      case 0:
        // The flag belongs to the description, which others may share.
        ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) ^ O_NONBLOCK);
        return;
      case 1:
        ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) ^ O_ASYNC);
        return;
      case 2:
        if (pick(64) == 0) ::shutdown(fd, static_cast<int>(pick(3)));
        return;
      case 3:
        // Closed, and its number taken, so that it is nobody else's.
        if (pick(256) == 0) ::dup3(null_.get(), fd, O_CLOEXEC);
        return;
      case 4:
      case 5:
        if (is_ready(fd, POLLIN)) (void)!::read(fd, words.data(), sizeof words);
        return;
      case 6:
      case 7:
      case 8:
        if (is_ready(fd, POLLOUT)) (void)!::write(fd, &kMost, sizeof kMost);
        return;
      default:
        (void)::send(fd, words.data(), sizeof words, MSG_DONTWAIT | MSG_NOSIGNAL);
        return;
    }
  }
  static bool is_ready(int fd, short events) {
    pollfd entry{.fd = fd, .events = events, .revents = 0};
    return ::poll(&entry, 1, 0) == 1;
  }

  const RawArena& arena_;
  std::uint32_t self_;
  std::vector<int> descriptors_;
  mews::os::UniqueFd null_{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  Random random_;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> old_;
};

}  // namespace hostile_test
