// SPDX-License-Identifier: MIT
// A host whose new plugin dies just as the host fails to watch its wake stream: the handler of the
// death waits for the host's mutex while the seat is given up. "unwatched_child ADDRESS".
#include <signal.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <thread>

#include "../support/failing_new.hpp"
#include "ends.hpp"

namespace {

using namespace process_test;

enum class Stage { before, process_watched, handler_waits, failed };
std::atomic<Stage> stage{Stage::before};
std::atomic<pid_t> joiner{0};
thread_local bool is_main = false;

int run(const std::string& address) {
  is_main = true;
  auto host = must(mews::Session::create(small_arena()));
  must(host.listen(address));
  joiner = ::fork();
  if (joiner == 0) {
    (void)mews::Session::attach({.socket = address, .timeout = kPatience});
    ::pause();
  }
  const auto admitted = host.admit(kPatience);
  if (admitted || stage != Stage::failed) return 3;
  std::this_thread::sleep_for(100ms);  // the handler goes on
  // The seat is free, and nobody disturbs the plugin that gets it.
  auto [plugin, session] = must(host.connect("next"));
  must(plugin.channel().send(bytes_of("word"), {}, kPatience));
  return must(session.channel().receive(kPatience)).text() == "word" ? 0 : 4;
}

}  // namespace

// These take the place of the system's in this program. The first allocation after the process is
// watched comes before the wake stream is: the handler gets the time to come as far as the mutex.
// Sanitizers have an `operator new` of their own: there the handler has to be quick by itself.
#if MEWS_TEST_FAILING_NEW
void* operator new(std::size_t bytes) {
  if (is_main && stage == Stage::process_watched) {
    stage = Stage::handler_waits;
    std::this_thread::sleep_for(100ms);
  }
  if (auto* const memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
#endif

extern "C" int epoll_ctl(int epoll, int operation, int fd, epoll_event* event) noexcept {
  const bool is_add = operation == EPOLL_CTL_ADD && joiner > 0;
  if (is_add && (stage == Stage::process_watched || stage == Stage::handler_waits)) {
    stage = Stage::failed;
    errno = ENOSPC;
    return -1;
  }
  const auto result = static_cast<int>(::syscall(SYS_epoll_ctl, epoll, operation, fd, event));
  if (is_add && stage == Stage::before && event->events == (EPOLLIN | EPOLLONESHOT)) {
    stage = Stage::process_watched;
    ::kill(joiner, SIGKILL);
  }
  return result;
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  try {
    return run(argv[1]);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "unwatched_child: %s\n", failure.what());
    return 1;
  }
}
