// SPDX-License-Identifier: MIT
// The functions of iceoryx2/src/lib.rs, which bench/compare.sh builds where there is cargo.
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "compare/peers.hpp"
#include "support/fail.hpp"

extern "C" {
struct mews_iceoryx2_way {
  const char* name;
  std::size_t bytes;
  std::size_t queued;
  std::size_t writers;
  bool reader_sleeps;
};
void* mews_iceoryx2_writer(const mews_iceoryx2_way* way, std::uint64_t tag);
bool mews_iceoryx2_has_reader(const void* writer);
std::byte* mews_iceoryx2_claim(void* writer);
void mews_iceoryx2_send(void* writer);
void mews_iceoryx2_close_writer(void* writer);
void* mews_iceoryx2_reader(const mews_iceoryx2_way* way);
const std::byte* mews_iceoryx2_receive(void* reader, std::uint64_t* tag);
void mews_iceoryx2_release(void* reader);
void mews_iceoryx2_close_reader(void* reader);
}

namespace mews::bench::compare {
namespace {

/// Publish and subscribe in place: one service for the requests of all clients, one for the replies
/// to each. Who sleeps is woken by an event beside each message.
class Iceoryx2 {
 public:
  explicit Iceoryx2(const Setup& setup)
      : setup_(setup), name_("mews-compare-" + std::to_string(::getpid())) {
    for (unsigned client = 0; client < setup.clients; ++client)
      reply_names_.push_back(name_ + "-" + std::to_string(client));
  }

  static std::string refusal(const Setup&) { return {}; }

  class Host {
   public:
    explicit Host(Iceoryx2& peer) : setup_(peer.setup_) {
      const auto requests = peer.requests();
      requests_ = mews_iceoryx2_reader(&requests);
      for (unsigned client = 0; client < setup_.clients; ++client) {
        const auto replies = peer.replies(client);
        replies_.push_back(mews_iceoryx2_writer(&replies, client));
      }
      for (void* const writer : replies_)
        wait_for_reader(writer);
      // A reader knows a writer once it has read from it; until then a full queue loses messages.
      for (unsigned client = 0; client < setup_.clients; ++client) {
        static_cast<void>(next());
        release();
      }
    }

    Arrival next() {
      std::uint64_t client = 0;
      const auto* bytes = mews_iceoryx2_receive(requests_, &client);
      return {static_cast<unsigned>(client), {bytes, setup_.request_bytes}};
    }
    void release() { mews_iceoryx2_release(requests_); }
    std::span<std::byte> claim(unsigned client) {
      return {mews_iceoryx2_claim(replies_[client]), setup_.reply_bytes};
    }
    void send(unsigned client) { mews_iceoryx2_send(replies_[client]); }
    void close() {
      for (void* const writer : replies_)
        mews_iceoryx2_close_writer(writer);
      mews_iceoryx2_close_reader(requests_);
    }

   private:
    Setup setup_;
    void* requests_ = nullptr;
    std::vector<void*> replies_;
  };

  class Client {
   public:
    Client(Iceoryx2& peer, unsigned nth) : setup_(peer.setup_) {
      const auto replies = peer.replies(nth);
      replies_ = mews_iceoryx2_reader(&replies);
      const auto requests = peer.requests();
      requests_ = mews_iceoryx2_writer(&requests, nth);
      wait_for_reader(requests_);
      write_payload(claim(), 8, 0);
      send();
    }

    std::span<std::byte> claim() { return {mews_iceoryx2_claim(requests_), setup_.request_bytes}; }
    void send() { mews_iceoryx2_send(requests_); }
    std::span<const std::byte> receive() {
      std::uint64_t host = 0;
      return {mews_iceoryx2_receive(replies_, &host), setup_.reply_bytes};
    }
    void release() { mews_iceoryx2_release(replies_); }
    void close() {
      mews_iceoryx2_close_writer(requests_);
      mews_iceoryx2_close_reader(replies_);
    }

   private:
    Setup setup_;
    void* requests_ = nullptr;
    void* replies_ = nullptr;
  };

 private:
  static void wait_for_reader(const void* writer) {
    while (!mews_iceoryx2_has_reader(writer))
      ::usleep(1000);
  }
  [[nodiscard]] mews_iceoryx2_way requests() const {
    return {name_.c_str(), setup_.request_bytes, Setup::queued(setup_.request_bytes),
            setup_.clients, setup_.host_wait != Wait::spin};
  }
  [[nodiscard]] mews_iceoryx2_way replies(unsigned client) const {
    return {reply_names_[client].c_str(), setup_.reply_bytes, 2, 1,
            setup_.client_wait != Wait::spin};
  }

  Setup setup_;
  std::string name_;
  std::vector<std::string> reply_names_;
};

const bool is_added = add_peer<Iceoryx2>("iceoryx2", 34);

}  // namespace
}  // namespace mews::bench::compare
