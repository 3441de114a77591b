// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "support/yardsticks.hpp"

namespace mews::bench {
namespace {

struct Pipe {
  Pipe() {
    int ends[2];
    require(::pipe2(ends, O_CLOEXEC) == 0, "pipe2");
    read_end = ends[0];
    write_end = ends[1];
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    ::close(read_end);
    ::close(write_end);
  }

  void put(std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const auto done = ::write(write_end, bytes.data(), bytes.size());
      require(done > 0, "write to a pipe");
      bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
  }
  void get(std::span<std::byte> bytes) const {
    while (!bytes.empty()) {
      const auto done = ::read(read_end, bytes.data(), bytes.size());
      require(done > 0, "read from a pipe");
      bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
  }

  int read_end = -1;
  int write_end = -1;
};

// One process's end of a flow: its buffer and how many messages went.
struct End {
  explicit End(std::size_t bytes) : buffer(bytes) {}

  void send(const Pipe& pipe, Touch touch) {
    write(touch, buffer, ++sent);
    pipe.put(buffer);
  }
  void receive(const Pipe& pipe, Touch touch) {
    pipe.get(buffer);
    check(touch, buffer, ++received);
  }

  std::vector<std::byte> buffer;
  std::uint64_t sent = 0;
  std::uint64_t received = 0;
};

}  // namespace

CasePtr pipe_stream(std::size_t bytes, Touch touch) {
  auto pipe = std::make_shared<Pipe>();
  auto end = std::make_shared<End>(bytes);
  return pair_case([=](const Batch& batch) { repeat(batch, [&] { end->send(*pipe, touch); }); },
                   [=](const Batch& batch) { repeat(batch, [&] { end->receive(*pipe, touch); }); });
}

CasePtr pipe_echo(std::size_t bytes, Touch touch) {
  auto there = std::make_shared<Pipe>();
  auto back = std::make_shared<Pipe>();
  auto end = std::make_shared<End>(bytes);
  const auto ask = [=](const Batch& batch) {
    repeat(batch, [&] {
      end->send(*there, touch);
      end->receive(*back, touch);
    });
  };
  const auto answer = [=](const Batch& batch) {
    repeat(batch, [&] {
      end->receive(*there, touch);
      end->send(*back, touch);
    });
  };
  return pair_case(ask, answer);
}

}  // namespace mews::bench
