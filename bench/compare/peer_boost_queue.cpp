// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <boost/interprocess/ipc/message_queue.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "compare/peers.hpp"
#include "support/fail.hpp"

namespace mews::bench::compare {
namespace {

using Queue = boost::interprocess::message_queue;

/// One queue for the requests of all clients, one for the replies to each. The client's number
/// stands behind its request.
class BoostQueue {
 public:
  explicit BoostQueue(const Setup& setup)
      : setup_(setup), name_("mews-compare-" + std::to_string(::getpid())) {
    const auto frame = setup.request_bytes + sizeof(std::uint64_t);
    make(name(kRequests), frame, std::max<std::size_t>(Setup::queued(frame), setup.clients));
    for (unsigned client = 0; client < setup.clients; ++client)
      make(name(client), setup.reply_bytes, Setup::queued(setup.reply_bytes));
  }
  BoostQueue(const BoostQueue&) = delete;
  BoostQueue& operator=(const BoostQueue&) = delete;
  ~BoostQueue() {
    Queue::remove(name(kRequests).c_str());
    for (unsigned client = 0; client < setup_.clients; ++client)
      Queue::remove(name(client).c_str());
  }

  static std::string refusal(const Setup&) { return {}; }

  class Host {
   public:
    explicit Host(BoostQueue& peer)
        : setup_(peer.setup_),
          requests_(boost::interprocess::open_only, peer.name(kRequests).c_str()),
          request_(setup_.request_bytes + sizeof(std::uint64_t)),
          reply_(setup_.reply_bytes) {
      for (unsigned client = 0; client < setup_.clients; ++client) {
        replies_.push_back(
            std::make_unique<Queue>(boost::interprocess::open_only, peer.name(client).c_str()));
      }
    }

    Arrival next() {
      get(requests_, request_, setup_.host_wait);
      std::uint64_t client = 0;
      std::memcpy(&client, request_.data() + setup_.request_bytes, sizeof client);
      return {static_cast<unsigned>(client), std::span(request_).first(setup_.request_bytes)};
    }
    void release() {}
    std::span<std::byte> claim(unsigned) { return reply_; }
    void send(unsigned client) { replies_[client]->send(reply_.data(), reply_.size(), 0); }

   private:
    Setup setup_;
    Queue requests_;
    std::vector<std::unique_ptr<Queue>> replies_;
    std::vector<std::byte> request_;
    std::vector<std::byte> reply_;
  };

  class Client {
   public:
    Client(BoostQueue& peer, unsigned nth)
        : setup_(peer.setup_),
          requests_(boost::interprocess::open_only, peer.name(kRequests).c_str()),
          replies_(boost::interprocess::open_only, peer.name(nth).c_str()),
          request_(setup_.request_bytes + sizeof(std::uint64_t)),
          reply_(setup_.reply_bytes) {
      const std::uint64_t client = nth;
      std::memcpy(request_.data() + setup_.request_bytes, &client, sizeof client);
    }

    std::span<std::byte> claim() { return std::span(request_).first(setup_.request_bytes); }
    void send() { requests_.send(request_.data(), request_.size(), 0); }
    std::span<const std::byte> receive() {
      get(replies_, reply_, setup_.client_wait);
      return reply_;
    }
    void release() {}

   private:
    Setup setup_;
    Queue requests_;
    Queue replies_;
    std::vector<std::byte> request_;
    std::vector<std::byte> reply_;
  };

 private:
  static constexpr unsigned kRequests = ~0u;

  [[nodiscard]] std::string name(unsigned client) const {
    return name_ + (client == kRequests ? "-requests" : "-" + std::to_string(client));
  }
  static void make(const std::string& name, std::size_t bytes, std::size_t count) {
    Queue::remove(name.c_str());
    const Queue queue(boost::interprocess::create_only, name.c_str(), count, bytes);
  }
  static void get(Queue& queue, std::vector<std::byte>& into, Wait wait) {
    std::size_t bytes = 0;
    unsigned priority = 0;
    if (wait == Wait::spin) {
      while (!queue.try_receive(into.data(), into.size(), bytes, priority)) {
      }
    } else {
      queue.receive(into.data(), into.size(), bytes, priority);
    }
    require(bytes == into.size(), "a message of another size arrived");
  }

  Setup setup_;
  std::string name_;
};

const bool is_added = add_peer<BoostQueue>("Boost message_queue", 30);

}  // namespace
}  // namespace mews::bench::compare
