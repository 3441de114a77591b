// SPDX-License-Identifier: MIT
// Answers every call with a greeting until the host ends; started by hello_host.
#include <algorithm>
#include <cstdio>
#include <string>

#include "mews/mews.hpp"

namespace {

int end(const mews::Error& why) {
  if (why.code() == mews::ErrorCode::closed) return 0;  // the host has ended: so does its plugin
  std::fprintf(stderr, "hello_plugin: %s\n", why.message().c_str());
  return 1;
}

}  // namespace

int main() {
  auto session = mews::Session::attach();  // the arena of the host that started it
  if (!session) return end(session.error());
  auto link = mews::Link::over(std::move(session->channel()));
  if (!link) return end(link.error());
  for (;;) {
    auto request = link->accept(mews::forever);
    if (!request) return end(request.error());
    const std::string greeting = "hello, " + std::string(request->text()) + "!";
    auto loan = request->loan(greeting.size());  // above 480 bytes, shared memory
    if (!loan) {
      request->fail(loan.error());  // the caller gets it
      continue;
    }
    std::ranges::copy(std::as_bytes(std::span(greeting)), loan->bytes().begin());
    auto sent = request->reply(std::move(*loan));  // and not copied
    if (!sent) return end(sent.error());
  }
}
