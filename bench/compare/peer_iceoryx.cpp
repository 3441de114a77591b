// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/popo/untyped_client.hpp>
#include <iceoryx_posh/popo/untyped_server.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>
#include <string>
#include <vector>

#include "compare/peers.hpp"
#include "compare/roudi.hpp"
#include "support/fail.hpp"

namespace mews::bench::compare {
namespace {

using iox::popo::RequestHeader;

constexpr std::uint32_t kAlignment = 64;
constexpr std::uint32_t kMostReplies = 2;

/// Request and response, in place; waits by a WaitSet.
class Iceoryx {
 public:
  explicit Iceoryx(const Setup& setup)
      : setup_(setup),
        name_("mews-compare-" + std::to_string(::getpid())),
        queued_(std::max<std::size_t>(Setup::queued(setup.request_bytes), setup.clients)),
        roudi_({chunk_bytes(setup.request_bytes), queued_ + 2 + 2 * setup.clients},
               {chunk_bytes(setup.reply_bytes), 2 + kMostReplies * setup.clients}) {}

  static std::string refusal(const Setup&) { return RouDi::is_installed() ? "" : "no iox-roudi"; }

  static void clean_up() { RouDi::remove_remains(); }
  [[nodiscard]] pid_t daemon() const { return roudi_.pid(); }

  class Host {
   public:
    explicit Host(Iceoryx& peer)
        : setup_(peer.setup_), server_(peer.enter("host"), peer.server_options()) {
      waiting_.attachState(server_, iox::popo::ServerState::HAS_REQUEST).or_else([](auto&) {
        fail("iceoryx: attachState");
      });
      headers_.resize(setup_.clients);
      // Of a client nothing is known before it has said a word: its header says where replies go.
      for (unsigned client = 0; client < setup_.clients; ++client) {
        auto& header = headers_.at(next().client);
        std::memcpy(header.bytes.data(), RequestHeader::fromPayload(request_), sizeof header);
        release();
      }
    }

    Arrival next() {
      while (!take()) {
        if (setup_.host_wait != Wait::spin) waiting_.wait();
      }
      const auto client = RequestHeader::fromPayload(request_)->getSequenceId();
      return {static_cast<unsigned>(client),
              {static_cast<const std::byte*>(request_), setup_.request_bytes}};
    }
    void release() { server_.releaseRequest(request_); }
    std::span<std::byte> claim(unsigned client) {
      const auto* header = reinterpret_cast<const RequestHeader*>(headers_[client].bytes.data());
      auto reply = server_.loan(header, static_cast<std::uint32_t>(setup_.reply_bytes), kAlignment);
      require(!reply.has_error(), "iceoryx: loan of a reply");
      reply_ = reply.value();
      return {static_cast<std::byte*>(reply_), setup_.reply_bytes};
    }
    void send(unsigned) { require(!server_.send(reply_).has_error(), "iceoryx: send a reply"); }

   private:
    struct Header {
      alignas(RequestHeader) std::array<std::byte, sizeof(RequestHeader)> bytes;
    };
    bool take() {
      auto request = server_.take();
      if (request.has_error()) return false;
      request_ = request.value();
      return true;
    }

    Setup setup_;
    iox::popo::UntypedServer server_;
    iox::popo::WaitSet<1> waiting_;
    std::vector<Header> headers_;
    const void* request_ = nullptr;
    void* reply_ = nullptr;
  };

  class Client {
   public:
    Client(Iceoryx& peer, unsigned nth)
        : setup_(peer.setup_),
          nth_(nth),
          client_(peer.enter(std::to_string(nth)), client_options()) {
      waiting_.attachState(client_, iox::popo::ClientState::HAS_RESPONSE).or_else([](auto&) {
        fail("iceoryx: attachState");
      });
      while (client_.getConnectionState() != iox::ConnectionState::CONNECTED)
        ::usleep(1000);
      write_payload(claim(), 8, 0);
      send();
    }

    std::span<std::byte> claim() {
      auto request = client_.loan(static_cast<std::uint32_t>(setup_.request_bytes), kAlignment);
      require(!request.has_error(), "iceoryx: loan of a request");
      request_ = request.value();
      RequestHeader::fromPayload(request_)->setSequenceId(nth_);
      return {static_cast<std::byte*>(request_), setup_.request_bytes};
    }
    void send() { require(!client_.send(request_).has_error(), "iceoryx: send a request"); }
    std::span<const std::byte> receive() {
      while (!take()) {
        if (setup_.client_wait != Wait::spin) waiting_.wait();
      }
      return {static_cast<const std::byte*>(reply_), setup_.reply_bytes};
    }
    void release() { client_.releaseResponse(reply_); }

   private:
    bool take() {
      auto reply = client_.take();
      if (reply.has_error()) return false;
      reply_ = reply.value();
      return true;
    }

    Setup setup_;
    unsigned nth_;
    iox::popo::UntypedClient client_;
    iox::popo::WaitSet<1> waiting_;
    void* request_ = nullptr;
    const void* reply_ = nullptr;
  };

 private:
  /// With room for the header of a request and an alignment.
  static std::size_t chunk_bytes(std::size_t bytes) { return (bytes + 256 + 63) / 64 * 64; }

  [[nodiscard]] iox::capro::ServiceDescription enter(const std::string& end) const {
    const auto text = [](const std::string& from) {
      return iox::capro::IdString_t(iox::cxx::TruncateToCapacity, from);
    };
    iox::log::LogManager::GetLogManager().SetDefaultLogLevel(
        iox::log::LogLevel::kOff, iox::log::LogLevelOutput::kHideLogLevel);
    iox::runtime::PoshRuntime::initRuntime(
        iox::RuntimeName_t(iox::cxx::TruncateToCapacity, name_ + "-" + end));
    return {text("mews"), text("compare"), text(name_)};
  }
  [[nodiscard]] iox::popo::ServerOptions server_options() const {
    iox::popo::ServerOptions options;
    options.requestQueueCapacity = queued_;
    options.requestQueueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
    options.clientTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
    return options;
  }
  static iox::popo::ClientOptions client_options() {
    iox::popo::ClientOptions options;
    options.responseQueueCapacity = kMostReplies;
    options.responseQueueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
    options.serverTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
    return options;
  }

  Setup setup_;
  std::string name_;
  std::size_t queued_;
  RouDi roudi_;
};

const bool is_added = add_peer<Iceoryx>("iceoryx", 33);

}  // namespace
}  // namespace mews::bench::compare
