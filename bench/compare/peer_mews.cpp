// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <chrono>
#include <optional>
#include <span>
#include <thread>

#include "compare/peers.hpp"
#include "mews/mews.hpp"
#include "support/fail.hpp"

namespace mews::bench::compare {
namespace {

using namespace std::chrono_literals;

LocalOptions local_options(Wait wait) {
  LocalOptions options;
  options.default_timeout = 600s;
  if (wait == Wait::spin) options.spin_limit = 600s;
  if (wait == Wait::sleep) options.spin_limit = 0s;
  return options;
}

/// The public interface with the default arena. An event loop is written as README has it.
class Mews {
 public:
  explicit Mews(const Setup& setup)
      : setup_(setup), address_("@mews-compare-" + std::to_string(::getpid())) {}

  static std::string refusal(const Setup&) { return {}; }

  class Host {
   public:
    explicit Host(Mews& mews) : setup_(mews.setup_) {
      CreateOptions options;
      options.local = local_options(setup_.host_wait);
      options.max_plugins = std::max(options.max_plugins, setup_.clients);
      session_.emplace(must(Session::create(std::move(options))));
      must_succeed(session_->listen(mews.address_));
      while (plugins_.size() < setup_.clients)
        plugins_.push_back(must(session_->admit(10s)));
      if (setup_.host_wait == Wait::events) watch();
    }

    Arrival next() {
      if (setup_.host_wait == Wait::events) return next_event();
      if (setup_.clients > 1) return next_in_turn();
      message_ = must(plugins_[0].channel().receive());
      return {0, message_.bytes()};
    }
    void release() { message_ = {}; }
    std::span<std::byte> claim(unsigned client) {
      loan_ = must(plugins_[client].channel().loan(setup_.reply_bytes));
      return loan_.bytes();
    }
    void send(unsigned client) { must_succeed(plugins_[client].channel().send(std::move(loan_))); }
    void wait_until_gone(unsigned client) { must_succeed(plugins_[client].wait_exit(10s)); }

   private:
    void watch() {
      set_.emplace(must(WaitSet::create()));
      for (unsigned client = 0; client < plugins_.size(); ++client)
        must_succeed(set_->add(plugins_[client].channel(), client));
    }

    // One message of each that is ready; then it looks who is ready now.
    Arrival next_event() {
      for (;;) {
        while (!ready_.empty()) {
          const auto client = static_cast<unsigned>(ready_.front().key);
          ready_ = ready_.subspan(1);
          if (try_client(client)) return {client, message_.bytes()};
        }
        ready_ = must(set_->wait(forever));
      }
    }

    Arrival next_in_turn() {
      while (!try_next()) {
      }
      return {turn_, message_.bytes()};
    }

    bool try_next() {
      if (++turn_ >= setup_.clients) turn_ = 0;
      return try_client(turn_);
    }

    bool try_client(unsigned client) {
      auto message = plugins_[client].channel().try_receive();
      if (message) {
        message_ = std::move(*message);
        return true;
      }
      require(message.error().code() == ErrorCode::would_block, message.error().message().c_str());
      return false;
    }

    Setup setup_;
    std::optional<Session> session_;
    std::vector<Plugin> plugins_;
    Message message_;
    Loan loan_;
    std::optional<WaitSet> set_;
    std::span<const WaitSet::Ready> ready_;
    unsigned turn_ = 0;
  };

  class Client {
   public:
    Client(Mews& mews, unsigned nth) : bytes_(mews.setup_.request_bytes) {
      AttachOptions options;
      options.socket = mews.address_;
      options.as = "client-" + std::to_string(nth);
      options.local = local_options(mews.setup_.client_wait);
      // The host may not be listening yet.
      const Deadline deadline = 10s;
      auto session = Session::attach(options);
      while (!session && !deadline.has_passed()) {
        std::this_thread::sleep_for(1ms);
        session = Session::attach(options);
      }
      session_.emplace(must(std::move(session)));
    }

    std::span<std::byte> claim() {
      loan_ = must(session_->channel().loan(bytes_));
      return loan_.bytes();
    }
    void send() { must_succeed(session_->channel().send(std::move(loan_))); }
    std::span<const std::byte> receive() {
      message_ = must(session_->channel().receive());
      return message_.bytes();
    }
    void release() { message_ = {}; }

   private:
    std::size_t bytes_;
    std::optional<Session> session_;
    Message message_;
    Loan loan_;
  };

 private:
  Setup setup_;
  std::string address_;
};

const bool is_added = add_peer<Mews>("mews", 0);

}  // namespace
}  // namespace mews::bench::compare
