// SPDX-License-Identifier: MIT
#include <pthread.h>

#include <vector>

#include "compare/peers.hpp"
#include "compare/ring.hpp"
#include "support/fail.hpp"

namespace mews::bench::compare {
namespace {

/// A mutex and a condition that processes share.
class Monitor {
 public:
  Monitor() {
    pthread_mutexattr_t mutex;
    pthread_condattr_t condition;
    const bool is_made = ::pthread_mutexattr_init(&mutex) == 0 &&
                         ::pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED) == 0 &&
                         ::pthread_mutex_init(&mutex_, &mutex) == 0 &&
                         ::pthread_condattr_init(&condition) == 0 &&
                         ::pthread_condattr_setpshared(&condition, PTHREAD_PROCESS_SHARED) == 0 &&
                         ::pthread_cond_init(&condition_, &condition) == 0;
    require(is_made, "a mutex and a condition");
  }

  template <class Publish>
  void publish(Publish&& publish) {
    ::pthread_mutex_lock(&mutex_);
    publish();
    ::pthread_mutex_unlock(&mutex_);
    ::pthread_cond_signal(&condition_);
  }
  template <class Look>
  void wait(Look&& look) {
    ::pthread_mutex_lock(&mutex_);
    while (!look())
      ::pthread_cond_wait(&condition_, &mutex_);
    ::pthread_mutex_unlock(&mutex_);
  }
  /// The same without sleeping.
  template <class Look>
  void spin(Look&& look) {
    for (bool is_there = false; !is_there;) {
      ::pthread_mutex_lock(&mutex_);
      is_there = look();
      ::pthread_mutex_unlock(&mutex_);
    }
  }

 private:
  alignas(128) pthread_mutex_t mutex_;
  pthread_cond_t condition_;
};

/// Slots in shared memory, written and read in place, behind a mutex and a condition for each end.
class Condition {
 public:
  explicit Condition(const Setup& setup) : setup_(setup), monitors_(make_shared_block<Monitors>()) {
    for (unsigned client = 0; client < setup.clients; ++client) {
      requests_.emplace_back(setup.request_bytes, false);
      replies_.emplace_back(setup.reply_bytes, false);
    }
  }

  static std::string refusal(const Setup&) { return {}; }

  class Host {
   public:
    explicit Host(Condition& peer) : peer_(peer) {}

    Arrival next() {
      wait_for(peer_.monitors_->host, peer_.setup_.host_wait, [&] {
        for (unsigned i = 0; i < peer_.setup_.clients; ++i) {
          if (++turn_ >= peer_.setup_.clients) turn_ = 0;
          if (peer_.requests_[turn_].has_message()) return true;
        }
        return false;
      });
      return {turn_, peer_.requests_[turn_].front()};
    }
    void release() { peer_.requests_[turn_].pop(); }
    std::span<std::byte> claim(unsigned client) { return claim_slot(peer_.replies_[client]); }
    void send(unsigned client) {
      peer_.monitors_->clients[client].publish([&] { peer_.replies_[client].publish(); });
    }

   private:
    Condition& peer_;
    unsigned turn_ = 0;
  };

  class Client {
   public:
    Client(Condition& peer, unsigned nth) : peer_(peer), nth_(nth) {}

    std::span<std::byte> claim() { return claim_slot(peer_.requests_[nth_]); }
    void send() {
      peer_.monitors_->host.publish([&] { peer_.requests_[nth_].publish(); });
    }
    std::span<const std::byte> receive() {
      wait_for(peer_.monitors_->clients[nth_], peer_.setup_.client_wait,
               [&] { return peer_.replies_[nth_].has_message(); });
      return peer_.replies_[nth_].front();
    }
    void release() { peer_.replies_[nth_].pop(); }

   private:
    Condition& peer_;
    unsigned nth_;
  };

 private:
  struct Monitors {
    Monitor host;
    Monitor clients[Board::kMostClients];
  };

  template <class Look>
  static void wait_for(Monitor& monitor, Wait wait, Look&& look) {
    wait == Wait::spin ? monitor.spin(look) : monitor.wait(look);
  }
  static std::span<std::byte> claim_slot(Ring& ring) {
    wait_by(ring.room_bell(), Wait::usual, true, [&] { return ring.has_room(); });
    return ring.next_slot();
  }

  Setup setup_;
  std::shared_ptr<Monitors> monitors_;
  std::vector<Ring> requests_;
  std::vector<Ring> replies_;
};

const bool is_added = add_peer<Condition>("pthread mutex, condition", 23);

}  // namespace
}  // namespace mews::bench::compare
