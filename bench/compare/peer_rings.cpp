// SPDX-License-Identifier: MIT
// What a program can reach that is written by hand for one case: nothing is checked, no process may
// die, and memory is given out by the slot.
#include <vector>

#include "compare/peers.hpp"
#include "compare/ring.hpp"

namespace mews::bench::compare {
namespace {

enum class Kind : std::uint8_t { hand_off, futex };

/// A pair of rings for each client. A host has one bell for all.
template <Kind kKind>
class Rings {
 public:
  explicit Rings(const Setup& setup)
      : setup_(setup), bells_(make_shared_block<Bells>()), spins_first_(setup.clients == 1) {
    for (unsigned client = 0; client < setup.clients; ++client) {
      requests_.emplace_back(setup.request_bytes, setup.host_wait != Wait::spin);
      replies_.emplace_back(setup.reply_bytes, setup.client_wait != Wait::spin);
    }
  }

  static std::string refusal(const Setup& setup) {
    const bool only_spins = setup.host_wait == Wait::spin && setup.client_wait == Wait::spin;
    if (kKind == Kind::hand_off && !only_spins) return "only spins";
    if (kKind == Kind::futex && only_spins) return "here it is the hand-off by hand";
    return {};
  }

  class Host {
   public:
    explicit Host(Rings& rings) : rings_(rings) {}

    Arrival next() {
      const auto wait = rings_.setup_.host_wait;
      const bool spins_first = wait == Wait::usual && rings_.spins_first_;
      wait_by(rings_.bells_->host, wait, spins_first, [&] {
        for (unsigned i = 0; i < rings_.setup_.clients; ++i) {
          if (++turn_ >= rings_.setup_.clients) turn_ = 0;
          if (rings_.requests_[turn_].has_message()) return true;
        }
        return false;
      });
      return {turn_, rings_.requests_[turn_].front()};
    }
    void release() { rings_.requests_[turn_].pop(); }
    std::span<std::byte> claim(unsigned client) { return claim_slot(rings_.replies_[client]); }
    void send(unsigned client) {
      rings_.replies_[client].publish();
      if (rings_.setup_.client_wait != Wait::spin) rings_.bells_->clients[client].ring();
    }

   private:
    Rings& rings_;
    unsigned turn_ = 0;
  };

  class Client {
   public:
    Client(Rings& rings, unsigned nth)
        : rings_(rings),
          nth_(nth),
          requests_(rings.requests_[nth]),
          replies_(rings.replies_[nth]) {}

    std::span<std::byte> claim() { return claim_slot(requests_); }
    void send() {
      requests_.publish();
      if (rings_.setup_.host_wait != Wait::spin) rings_.bells_->host.ring();
    }
    std::span<const std::byte> receive() {
      const auto wait = rings_.setup_.client_wait;
      wait_by(rings_.bells_->clients[nth_], wait, wait == Wait::usual && rings_.spins_first_,
              [&] { return replies_.has_message(); });
      return replies_.front();
    }
    void release() { replies_.pop(); }

   private:
    Rings& rings_;
    unsigned nth_;
    Ring& requests_;
    Ring& replies_;
  };

 private:
  struct Bells {
    Bell host;
    Bell clients[Board::kMostClients];
  };

  static std::span<std::byte> claim_slot(Ring& ring) {
    wait_by(ring.room_bell(), kKind == Kind::hand_off ? Wait::spin : Wait::usual, true,
            [&] { return ring.has_room(); });
    return ring.next_slot();
  }

  Setup setup_;
  std::shared_ptr<Bells> bells_;
  bool spins_first_;
  std::vector<Ring> requests_;
  std::vector<Ring> replies_;
};

const bool is_hand_off_added = add_peer<Rings<Kind::hand_off>>("hand-off by hand", 10, true);
const bool is_futex_added = add_peer<Rings<Kind::futex>>("bare futex rings", 11, true);

}  // namespace
}  // namespace mews::bench::compare
