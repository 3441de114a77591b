// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "../support/catch.hpp"
#include "mews/os/memory_file.hpp"
#include "mews/os/socket.hpp"
#include "os_support.hpp"

using namespace mews::os;
using namespace std::chrono_literals;
using mews::ErrorCode;
using os_test::code_of;

namespace {

struct Pair {
  UniqueFd one;
  UniqueFd two;
};

Pair make_pair() {
  std::array<int, 2> fds{-1, -1};
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds.data()) == 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

/// Sends what `send_packet` would refuse to: any number of bytes and descriptors.
bool send_raw(int socket, std::size_t bytes, const std::vector<int>& fds) {
  std::vector<std::byte> body(bytes);
  iovec part{body.data(), body.size()};
  std::vector<std::byte> control(CMSG_SPACE(fds.size() * sizeof(int)));
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
  std::copy(fds.begin(), fds.end(), reinterpret_cast<int*>(CMSG_DATA(rights)));
  return ::sendmsg(socket, &header, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes);
}

auto open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

}  // namespace

TEST_CASE("os: a packet arrives whole, with descriptors of the same memory, close-on-exec") {
  const auto pair = make_pair();
  const auto file = MemoryFile::create_anonymous("passed", 8192).value();
  REQUIRE(::pwrite(file.fd(), "mews", 4, 0) == 4);
  const std::vector<std::byte> bytes(4096, std::byte{7});
  const std::vector<int> fds(16, file.fd());
  REQUIRE(send_packet(pair.one.get(), bytes, fds, os_test::kPatience));
  auto packet = receive_packet(pair.two.get(), os_test::kPatience).value();
  CHECK(packet.bytes == bytes);
  REQUIRE(packet.fds.size() == 16);
  CHECK((::fcntl(packet.fds[15].get(), F_GETFD) & FD_CLOEXEC) != 0);
  const auto received = MemoryFile::adopt(std::move(packet.fds[15]));
  CHECK(received.is_sealed());
  char text[5] = {};
  REQUIRE(::pread(received.fd(), text, 4, 0) == 4);
  CHECK(std::string(text) == "mews");
}

TEST_CASE("os: packets keep their borders and their order") {
  const auto pair = make_pair();
  const std::vector<std::byte> longer(3, std::byte{1});
  const std::vector<std::byte> shorter(1, std::byte{2});
  REQUIRE(send_packet(pair.one.get(), longer, {}, 0s));
  REQUIRE(send_packet(pair.one.get(), shorter, {}, 0s));
  CHECK(receive_packet(pair.two.get(), 0s).value().bytes == longer);
  const auto last = receive_packet(pair.two.get(), 0s).value();
  CHECK(last.bytes == shorter);
  CHECK(last.fds.empty());
}

TEST_CASE("os: a packet that would not fit is refused before it is sent") {
  const auto pair = make_pair();
  const std::vector<std::byte> bytes(4097);
  const std::vector<int> fds(17, pair.one.get());
  const auto send = [&](std::size_t byte_count, std::size_t fd_count) {
    return code_of(send_packet(pair.one.get(), std::span(bytes).first(byte_count),
                               std::span(fds).first(fd_count), 0s));
  };
  CHECK(send(0, 0) == ErrorCode::invalid_argument);
  CHECK(send(4097, 0) == ErrorCode::invalid_argument);
  CHECK(send(1, 17) == ErrorCode::invalid_argument);
  CHECK(code_of(receive_packet(pair.two.get(), 0s)) == ErrorCode::timed_out);
}

TEST_CASE("os: a packet with too many bytes or descriptors is peer_corrupt and leaks none") {
  const auto pair = make_pair();
  const auto before = open_descriptors();
  const auto fd = pair.one.get();
  for (const auto& [bytes, fds] :
       {std::pair{4097, 0}, std::pair{4097, 3}, std::pair{1, 17}, std::pair{1, 200}}) {
    REQUIRE(send_raw(fd, static_cast<std::size_t>(bytes),
                     std::vector<int>(static_cast<std::size_t>(fds), fd)));
    CHECK(code_of(receive_packet(pair.two.get(), os_test::kPatience)) == ErrorCode::peer_corrupt);
    CHECK(open_descriptors() == before);
  }
}

TEST_CASE("os: an empty packet reads as the end, and its descriptors are closed") {
  const auto pair = make_pair();
  const auto before = open_descriptors();
  REQUIRE(send_raw(pair.one.get(), 0, {pair.one.get()}));
  CHECK(code_of(receive_packet(pair.two.get(), os_test::kPatience)) == ErrorCode::closed);
  CHECK(open_descriptors() == before);
}

TEST_CASE("os: a receiver short of descriptors blames itself and not the sender") {
  const auto pair = make_pair();
  REQUIRE(send_raw(pair.one.get(), 1, std::vector<int>(8, pair.one.get())));
  os_test::Fork child([&pair] {
    const int next = ::dup(pair.two.get());
    const auto room = static_cast<rlim_t>(next + 4);
    ::close(next);
    const rlimit limit{room, room};
    if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) return 2;
    const auto packet = receive_packet(pair.two.get(), os_test::kPatience);
    return !packet && packet.error().os_errno() == EMFILE ? 0 : 1;
  });
  CHECK(child.outcome() == "exit code 0");
}

TEST_CASE("os: an end that hung up is closed for both directions, without SIGPIPE") {
  auto pair = make_pair();
  const std::byte byte{1};
  REQUIRE(send_packet(pair.two.get(), {&byte, 1}, {}, 0s));
  pair.two.reset();
  CHECK(code_of(send_packet(pair.one.get(), {&byte, 1}, {}, 0s)) == ErrorCode::closed);
  CHECK(receive_packet(pair.one.get(), mews::forever));
  CHECK(code_of(receive_packet(pair.one.get(), mews::forever)) == ErrorCode::closed);
}

TEST_CASE("os: a packet is received, however soon after it the sender hangs up") {
  constexpr int kRounds = 20'000;
  int lost = 0;
  for (int round = 0; round < kRounds; round += 100) {
    std::vector<Pair> pairs;
    for (int i = 0; i < 100; ++i)
      pairs.push_back(make_pair());
    std::atomic<int> turn{-1};
    std::thread sender([&] {
      for (int i = 0; i < 100; ++i) {
        while (turn < i)
          std::this_thread::yield();
        const std::array<std::byte, 8> bytes{};
        (void)send_packet(pairs[static_cast<std::size_t>(i)].one.get(), bytes, {}, 60s);
        pairs[static_cast<std::size_t>(i)].one.reset();
      }
    });
    for (int i = 0; i < 100; ++i) {
      turn = i;
      if (!receive_packet(pairs[static_cast<std::size_t>(i)].two.get(), 60s)) ++lost;
    }
    sender.join();
  }
  CHECK(lost == 0);
}

TEST_CASE("os: an end that hung up with packets unread is closed as well") {
  auto pair = make_pair();
  const std::byte byte{1};
  REQUIRE(send_packet(pair.one.get(), {&byte, 1}, {}, 0s));
  pair.two.reset();
  CHECK(code_of(receive_packet(pair.one.get(), mews::forever)) == ErrorCode::closed);
}

TEST_CASE("os: a receiver that never receives makes a sender time out, not hang") {
  const auto pair = make_pair();
  const std::vector<std::byte> bytes(4096);
  auto sent = send_packet(pair.one.get(), bytes, {}, 1ms);
  for (int i = 0; sent && i < 100000; ++i)
    sent = send_packet(pair.one.get(), bytes, {}, 1ms);
  CHECK(code_of(sent) == ErrorCode::timed_out);
  REQUIRE(receive_packet(pair.two.get(), 0s));
}

TEST_CASE("os: what is no socket is an os_error") {
  const std::byte byte{1};
  CHECK(code_of(send_packet(-1, {&byte, 1}, {}, mews::forever)) == ErrorCode::os_error);
  CHECK(code_of(receive_packet(-1, mews::forever)) == ErrorCode::os_error);
}
