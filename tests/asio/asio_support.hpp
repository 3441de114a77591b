// SPDX-License-Identifier: MIT
#pragma once

#include <string>
#include <thread>
#include <vector>

#include "../process/link_support.hpp"
#include "../support/catch.hpp"
#include "mews/asio.hpp"

#if MEWS_ASIO_IS_BOOST
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#else
#include <asio/awaitable.hpp>
#include <asio/bind_executor.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/executor_work_guard.hpp>
#include <asio/io_context.hpp>
#include <asio/use_awaitable.hpp>
#include <asio/use_future.hpp>
#endif

/// The same tests for standalone Asio and for Boost.Asio.
namespace asio_test {

using namespace process_test;
#if MEWS_ASIO_IS_BOOST
namespace net = ::boost::asio;
#else
namespace net = ::asio;
#endif

inline constexpr auto kAwait = net::use_awaitable;

/// What the handlers were told, in order.
struct Told {
  std::vector<std::string> texts;
  /// A callback that notes the reply's text, or the error's code.
  [[nodiscard]] auto note() {
    return [this](mews::Result<mews::Message> reply) {
      texts.push_back(reply ? std::string(reply->text()) : outcome(reply));
    };
  }
};

/// Runs what is ready, until `is_done`, or too long.
template <class IsDone>
[[nodiscard]] bool run_until(net::io_context& context, IsDone&& is_done) {
  return eventually([&] {
    context.restart();
    context.poll();
    return is_done();
  });
}

/// So many threads that run a context until the end of the scope.
class Runners {
 public:
  Runners(net::io_context& context, unsigned count) : work_(context.get_executor()) {
    for (unsigned i = 0; i < count; ++i)
      threads_.emplace_back([&context] { context.run(); });
  }
  Runners(const Runners&) = delete;
  Runners& operator=(const Runners&) = delete;
  /// Once nothing is left to do.
  ~Runners() {
    work_.reset();
    for (auto& thread : threads_)
      thread.join();
  }

 private:
  net::executor_work_guard<net::io_context::executor_type> work_;
  std::vector<std::thread> threads_;
};

}  // namespace asio_test
