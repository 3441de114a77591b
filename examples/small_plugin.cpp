// SPDX-License-Identifier: MIT
// Minifies small texts; started by font_host, under sixteen names.
#include <cstdio>
#include <utility>

#include "font_messages.hpp"
#include "mews/mews.hpp"
#include "small_work.hpp"

namespace {

mews::Result<void> answer(mews::Channel& channel, const mews::Message& request) {
  auto loan = channel.loan(example::minified_limit_bytes(request.size()));
  if (!loan) return tl::unexpected(loan.error());
  loan->shrink(example::minify(request.bytes(), loan->bytes()));
  return channel.send(std::move(*loan),
                      {.type = example::kMinified, .correlation = request.correlation()});
}

mews::Error serve() {
  auto plugin = mews::Session::attach();
  if (!plugin) return plugin.error();
  auto& channel = plugin->channel();
  for (;;) {
    auto request = channel.receive(mews::forever);
    if (!request) return request.error();
    const auto answered = request->type() == example::kMinify
                              ? answer(channel, *request)
                              : channel.send(request->bytes(), request->envelope());
    if (!answered) return answered.error();
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto end = serve();
  if (end.code() == mews::ErrorCode::closed) return 0;
  std::fprintf(stderr, "small_plugin %s: %s\n", argc > 1 ? argv[1] : "", end.message().c_str());
  return 1;
}
