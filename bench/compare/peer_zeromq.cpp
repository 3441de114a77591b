// SPDX-License-Identifier: MIT
#include <unistd.h>
#include <zmq.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "compare/peers.hpp"
#include "support/fail.hpp"

namespace mews::bench::compare {
namespace {

/// A part of a message, written and read in place.
class Part {
 public:
  Part() { zmq_msg_init(&message_); }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;
  ~Part() { zmq_msg_close(&message_); }

  std::span<std::byte> claim(std::size_t bytes) {
    zmq_msg_close(&message_);
    require(zmq_msg_init_size(&message_, bytes) == 0, "zmq_msg_init_size");
    return {static_cast<std::byte*>(zmq_msg_data(&message_)), bytes};
  }
  void send(void* socket) { require(zmq_msg_send(&message_, socket, 0) >= 0, "zmq_msg_send"); }
  void receive(void* socket, Wait wait) {
    const int flags = wait == Wait::spin ? ZMQ_DONTWAIT : 0;
    while (zmq_msg_recv(&message_, socket, flags) < 0)
      require(errno == EAGAIN || errno == EINTR, "zmq_msg_recv");
  }
  void release() {
    zmq_msg_close(&message_);
    zmq_msg_init(&message_);
  }
  [[nodiscard]] std::span<const std::byte> bytes() {
    return {static_cast<const std::byte*>(zmq_msg_data(&message_)), zmq_msg_size(&message_)};
  }

 private:
  zmq_msg_t message_;
};

/// A pair of sockets for one client, a router for several, by the ipc transport.
class ZeroMq {
 public:
  explicit ZeroMq(const Setup& setup)
      : setup_(setup), address_("ipc:///tmp/mews-compare-" + std::to_string(::getpid()) + ".zmq") {}

  static std::string refusal(const Setup&) { return {}; }

  class Host {
   public:
    explicit Host(ZeroMq& peer)
        : setup_(peer.setup_),
          has_names_(setup_.clients > 1),
          context_(zmq_ctx_new()),
          socket_(peer.open(context_, has_names_ ? ZMQ_ROUTER : ZMQ_PAIR)) {
      if (has_names_) set(socket_, ZMQ_ROUTER_MANDATORY, 1);
      require(zmq_bind(socket_, peer.address_.c_str()) == 0, "zmq_bind");
      // Of a router's clients nothing is known before each has said a word.
      for (unsigned client = 0; client < setup_.clients; ++client) {
        static_cast<void>(next());
        release();
      }
    }
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;
    ~Host() {
      request_.release();
      zmq_close(socket_);
      zmq_ctx_term(context_);
    }

    Arrival next() {
      unsigned client = 0;
      if (has_names_) {
        name_.receive(socket_, setup_.host_wait);
        client = client_of(name_.bytes());
      }
      request_.receive(socket_, setup_.host_wait);
      return {client, request_.bytes()};
    }
    void release() { request_.release(); }
    std::span<std::byte> claim(unsigned) { return reply_.claim(setup_.reply_bytes); }
    void send(unsigned client) {
      if (has_names_) {
        const auto name = name_of(client);
        require(zmq_send(socket_, name.data(), name.size(), ZMQ_SNDMORE) >= 0, "zmq_send");
      }
      reply_.send(socket_);
    }

   private:
    Setup setup_;
    bool has_names_;
    void* context_;
    void* socket_;
    Part name_;
    Part request_;
    Part reply_;
  };

  class Client {
   public:
    Client(ZeroMq& peer, unsigned nth)
        : setup_(peer.setup_),
          context_(zmq_ctx_new()),
          socket_(peer.open(context_, setup_.clients > 1 ? ZMQ_DEALER : ZMQ_PAIR)) {
      const auto name = name_of(nth);
      if (setup_.clients > 1) {
        require(zmq_setsockopt(socket_, ZMQ_ROUTING_ID, name.data(), name.size()) == 0,
                "zmq_setsockopt");
      }
      require(zmq_connect(socket_, peer.address_.c_str()) == 0, "zmq_connect");
      write_payload(claim(), 8, 0);
      send();
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client() {
      zmq_close(socket_);
      zmq_ctx_term(context_);
    }

    std::span<std::byte> claim() { return request_.claim(setup_.request_bytes); }
    void send() { request_.send(socket_); }
    std::span<const std::byte> receive() {
      reply_.receive(socket_, setup_.client_wait);
      return reply_.bytes();
    }
    void release() { reply_.release(); }

   private:
    Setup setup_;
    void* context_;
    void* socket_;
    Part request_;
    Part reply_;
  };

 private:
  /// Never zero at the front, which the library keeps for itself.
  static std::string name_of(unsigned client) { return "c" + std::to_string(client); }
  static unsigned client_of(std::span<const std::byte> name) {
    unsigned client = 0;
    for (const auto digit : name.subspan(1))
      client = client * 10 + static_cast<unsigned>(digit) - '0';
    return client;
  }
  static void set(void* socket, int option, int value) {
    require(zmq_setsockopt(socket, option, &value, sizeof value) == 0, "zmq_setsockopt");
  }
  /// Half of a queue on each side.
  void* open(void* context, int type) const {
    void* const socket = zmq_socket(context, type);
    require(socket != nullptr, "zmq_socket");
    const auto queued = static_cast<int>((Setup::queued(setup_.largest()) + 1) / 2);
    set(socket, ZMQ_SNDHWM, queued);
    set(socket, ZMQ_RCVHWM, queued);
    set(socket, ZMQ_LINGER, 0);
    return socket;
  }

  Setup setup_;
  std::string address_;
};

const bool is_added = add_peer<ZeroMq>("ZeroMQ", 31);

}  // namespace
}  // namespace mews::bench::compare
