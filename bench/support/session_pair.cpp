// SPDX-License-Identifier: MIT
#include "support/session_pair.hpp"

#include <unistd.h>

#include <thread>

#include "support/cpu.hpp"
#include "support/fail.hpp"

namespace mews::bench {

using namespace std::chrono_literals;

SessionPair::SessionPair(std::chrono::nanoseconds spin_limit) {
  static unsigned made = 0;
  local_.spin_limit = spin_limit;
  address_ = "@mews-bench-";
  address_.append(std::to_string(::getpid())).append("-").append(std::to_string(++made));
}

Channel& SessionPair::host_channel() {
  if (!plugin_) create();
  return plugin_->channel();
}

Channel& SessionPair::plugin_channel() {
  if (!session_) attach();
  return session_->channel();
}

void SessionPair::create() {
  CreateOptions options;
  options.local = local_;
  session_.emplace(must(Session::create(std::move(options))));
  must_succeed(session_->listen(address_));
  plugin_.emplace(must(session_->admit(10s)));
}

void SessionPair::attach() {
  AttachOptions options;
  options.socket = address_;
  options.as = "companion";
  options.local = local_;
  // The host may not be listening yet.
  const Deadline deadline = 10s;
  auto session = Session::attach(options);
  while (!session && !deadline.has_passed()) {
    std::this_thread::sleep_for(1ms);
    session = Session::attach(options);
  }
  session_.emplace(must(std::move(session)));
}

}  // namespace mews::bench
