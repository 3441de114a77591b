// SPDX-License-Identifier: MIT
// The plugin of calls_host: counts words, slowly where it is asked to, and asks the host for words
// that are not to count.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <sstream>
#include <string>
#include <thread>

#include "calls_types.hpp"
#include "mews/mews.hpp"

namespace {

using namespace std::chrono_literals;

void count_words(mews::Request& request) {
  // A call back, from inside the handler. It ends with the request's deadline at the latest.
  auto host = request.link();
  if (!host) return;
  auto skipped = host->call("", {.type = kWordsToSkip});
  if (!skipped) {
    request.fail(skipped.error());
    return;
  }
  std::istringstream words{std::string(request.text())};
  int count = 0;
  for (std::string word; words >> word;)
    if (word != skipped->text()) ++count;
  if (!request.reply(std::to_string(count))) std::fputs("calls_plugin: no reply\n", stderr);
}

void sleep_long(mews::Request& request) {
  while (!request.is_cancelled())
    std::this_thread::sleep_for(1ms);
  const bool is_late = request.deadline().has_passed();
  request.fail(is_late ? mews::ErrorCode::timed_out : mews::ErrorCode::cancelled);
}

void number_lines(mews::Request& request) {
  auto stream = request.accept_stream();
  if (!stream) return;
  for (int number = 1;; ++number) {
    auto line = stream->receive(mews::forever);
    if (!line) return;             // the host has given it up, or is gone
    if (line->size() == 0) break;  // the last line was before
    auto text = std::to_string(number) + " " + std::string(line->text());
    if (!stream->send(text, mews::forever)) return;
  }
  if (!stream->finish()) std::fputs("calls_plugin: no end\n", stderr);
}

void handle(mews::Request& request) {
  switch (request.type()) {
    case kCountWords:
      return count_words(request);
    case kSleep:
      return sleep_long(request);
    case kNumberLines:
      return number_lines(request);
    default:
      request.fail("no such type of request");
  }
}

int end(const mews::Error& why) {
  std::fprintf(stderr, "calls_plugin: %s\n", why.message().c_str());
  return 1;
}

}  // namespace

int main() {
  auto session = mews::Session::attach();
  if (!session) return end(session.error());
  auto link = mews::Link::over(std::move(session->channel()), {.types = kTypeNames});
  if (!link) return end(link.error());
  std::thread second([&] { (void)link->serve(handle, mews::forever); });
  auto served = link->serve(handle, mews::forever);  // until the host has ended
  second.join();
  return served ? 0 : end(served.error());
}
