// SPDX-License-Identifier: MIT
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/pair1/pair.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "compare/peers.hpp"
#include "support/fail.hpp"

namespace mews::bench::compare {
namespace {

void must_be_done(int error) {
  if (error != 0) fail(nng_strerror(error));
}

/// A message on its way out or in, written and read in place.
class Held {
 public:
  Held() = default;
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { release(); }

  std::span<std::byte> claim(std::size_t bytes) {
    release();
    must_be_done(nng_msg_alloc(&message_, bytes));
    return {static_cast<std::byte*>(nng_msg_body(message_)), bytes};
  }
  void send(nng_socket socket) {
    must_be_done(nng_sendmsg(socket, message_, 0));
    message_ = nullptr;
  }
  void receive(nng_socket socket, Wait wait) {
    const int flags = wait == Wait::spin ? NNG_FLAG_NONBLOCK : 0;
    int error = 0;
    while ((error = nng_recvmsg(socket, &message_, flags)) == NNG_EAGAIN) {
    }
    must_be_done(error);
  }
  void release() {
    if (message_ != nullptr) nng_msg_free(message_);
    message_ = nullptr;
  }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(nng_msg_body(message_)), nng_msg_len(message_)};
  }
  [[nodiscard]] nng_msg* message() const { return message_; }

 private:
  nng_msg* message_ = nullptr;
};

/// A pair of sockets for one client, a host's one socket with many partners for several, by the ipc
/// transport.
class Nng {
 public:
  explicit Nng(const Setup& setup)
      : setup_(setup), address_("ipc:///tmp/mews-compare-" + std::to_string(::getpid()) + ".nng") {}

  static std::string refusal(const Setup&) { return {}; }

  class Host {
   public:
    explicit Host(Nng& peer) : setup_(peer.setup_), has_many_(setup_.clients > 1) {
      must_be_done(has_many_ ? nng_pair1_open_poly(&socket_) : nng_pair0_open(&socket_));
      peer.prepare(socket_);
      must_be_done(nng_listen(socket_, peer.address_.c_str(), nullptr, 0));
      for (unsigned client = 0; client < setup_.clients; ++client) {
        request_.receive(socket_, setup_.host_wait);
        pipes_.push_back(nng_msg_get_pipe(request_.message()));
        request_.release();
      }
    }
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;
    ~Host() { nng_close(socket_); }

    Arrival next() {
      request_.receive(socket_, setup_.host_wait);
      return {has_many_ ? client_of(nng_msg_get_pipe(request_.message())) : 0, request_.bytes()};
    }
    void release() { request_.release(); }
    std::span<std::byte> claim(unsigned) { return reply_.claim(setup_.reply_bytes); }
    void send(unsigned client) {
      if (has_many_) nng_msg_set_pipe(reply_.message(), pipes_[client]);
      reply_.send(socket_);
    }

   private:
    [[nodiscard]] unsigned client_of(nng_pipe pipe) const {
      const auto at = std::ranges::find(pipes_, pipe.id, &nng_pipe::id);
      require(at != pipes_.end(), "a message of nobody");
      return static_cast<unsigned>(at - pipes_.begin());
    }

    Setup setup_;
    bool has_many_;
    nng_socket socket_{};
    std::vector<nng_pipe> pipes_;
    Held request_;
    Held reply_;
  };

  class Client {
   public:
    Client(Nng& peer, unsigned) : setup_(peer.setup_) {
      must_be_done(setup_.clients > 1 ? nng_pair1_open(&socket_) : nng_pair0_open(&socket_));
      peer.prepare(socket_);
      // The host may not be listening yet.
      for (int tries = 0; nng_dial(socket_, peer.address_.c_str(), nullptr, 0) != 0; ++tries) {
        require(tries < 10'000, "nng_dial");
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      write_payload(claim(), 8, 0);
      send();
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client() { nng_close(socket_); }

    std::span<std::byte> claim() { return request_.claim(setup_.request_bytes); }
    void send() { request_.send(socket_); }
    std::span<const std::byte> receive() {
      reply_.receive(socket_, setup_.client_wait);
      return reply_.bytes();
    }
    void release() { reply_.release(); }

   private:
    Setup setup_;
    nng_socket socket_{};
    Held request_;
    Held reply_;
  };

 private:
  /// Half of a queue on each side; messages of any size.
  void prepare(nng_socket socket) const {
    const auto queued = static_cast<int>((Setup::queued(setup_.largest()) + 1) / 2);
    must_be_done(nng_socket_set_int(socket, NNG_OPT_SENDBUF, queued));
    must_be_done(nng_socket_set_int(socket, NNG_OPT_RECVBUF, queued));
    must_be_done(nng_socket_set_size(socket, NNG_OPT_RECVMAXSZ, 0));
  }

  Setup setup_;
  std::string address_;
};

const bool is_added = add_peer<Nng>("nng", 32);

}  // namespace
}  // namespace mews::bench::compare
