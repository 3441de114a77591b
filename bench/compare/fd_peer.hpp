// SPDX-License-Identifier: MIT
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "compare/crew.hpp"
#include "compare/transport.hpp"
#include "support/fail.hpp"

namespace mews::bench::compare {

/// Two descriptors of one end: the same one twice for a socket.
struct FdEnd {
  int in = -1;
  int out = -1;
};

/// Descriptors that copy bytes: how messages go through them. `Io::put` and `Io::get` move one
/// whole message; `get` returns false when there is none and it was not to wait.
template <class Io>
class FdPeer {
 public:
  explicit FdPeer(const Setup& setup) : setup_(setup) {
    for (unsigned client = 0; client < setup.clients; ++client) {
      hosts_.emplace_back();
      clients_.emplace_back();
      Io::connect(hosts_.back(), clients_.back());
    }
  }

  static std::string refusal(const Setup& setup) { return Io::refusal(setup.largest()); }

  class Host {
   public:
    explicit Host(FdPeer& peer)
        : setup_(peer.setup_),
          ends_(peer.hosts_),
          request_(setup_.request_bytes),
          reply_(setup_.reply_bytes) {
      // Else no end of a connection would ever be seen.
      for (const auto& end : peer.clients_)
        close_end(end);
      if (setup_.host_wait == Wait::events) watch();
    }

    Arrival next() {
      if (setup_.host_wait == Wait::events) return next_event();
      const bool may_wait = setup_.host_wait != Wait::spin;
      for (;;) {
        if (++turn_ >= setup_.clients) turn_ = 0;
        if (Io::get(ends_[turn_].in, request_, may_wait)) return {turn_, request_};
      }
    }
    void release() {}
    std::span<std::byte> claim(unsigned) { return reply_; }
    void send(unsigned client) { Io::put(ends_[client].out, reply_); }
    void wait_until_gone(unsigned client) {
      pollfd end{.fd = ends_[client].in, .events = POLLIN, .revents = 0};
      for (;;) {
        require(::poll(&end, 1, -1) >= 0 || errno == EINTR, "poll");
        std::byte byte;
        const auto count = ::read(end.fd, &byte, 1);
        require(count <= 0, "a dead client sent something");
        if (count == 0 || errno == ECONNRESET) return;
      }
    }

   private:
    void watch() {
      epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
      require(epoll_ >= 0, "epoll_create1");
      for (unsigned client = 0; client < ends_.size(); ++client) {
        epoll_event event{.events = EPOLLIN, .data = {.u32 = client}};
        require(::epoll_ctl(epoll_, EPOLL_CTL_ADD, ends_[client].in, &event) == 0, "epoll_ctl");
      }
    }
    Arrival next_event() {
      for (;;) {
        while (at_ < ready_count_) {
          const auto client = ready_[at_++].data.u32;
          if (Io::get(ends_[client].in, request_, false)) return {client, request_};
        }
        const auto count = ::epoll_wait(epoll_, ready_.data(), static_cast<int>(ready_.size()), -1);
        require(count >= 0 || errno == EINTR, "epoll_wait");
        ready_count_ = count < 0 ? 0 : static_cast<std::size_t>(count);
        at_ = 0;
      }
    }

    Setup setup_;
    std::vector<FdEnd> ends_;
    std::vector<std::byte> request_;
    std::vector<std::byte> reply_;
    int epoll_ = -1;
    std::array<epoll_event, Board::kMostClients> ready_{};
    std::size_t ready_count_ = 0;
    std::size_t at_ = 0;
    unsigned turn_ = 0;
  };

  class Client {
   public:
    Client(FdPeer& peer, unsigned nth)
        : end_(peer.clients_[nth]),
          may_wait_(peer.setup_.client_wait != Wait::spin),
          request_(peer.setup_.request_bytes),
          reply_(peer.setup_.reply_bytes) {
      for (const auto& end : peer.hosts_)
        close_end(end);
      for (unsigned other = 0; other < peer.clients_.size(); ++other) {
        if (other != nth) close_end(peer.clients_[other]);
      }
    }

    std::span<std::byte> claim() { return request_; }
    void send() { Io::put(end_.out, request_); }
    std::span<const std::byte> receive() {
      while (!Io::get(end_.in, reply_, may_wait_)) {
      }
      return reply_;
    }
    void release() {}

   private:
    FdEnd end_;
    bool may_wait_;
    std::vector<std::byte> request_;
    std::vector<std::byte> reply_;
  };

 private:
  static void close_end(const FdEnd& end) {
    ::close(end.in);
    if (end.out != end.in) ::close(end.out);
  }

  Setup setup_;
  std::vector<FdEnd> hosts_;
  std::vector<FdEnd> clients_;
};

}  // namespace mews::bench::compare
