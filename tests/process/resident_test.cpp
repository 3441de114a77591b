// SPDX-License-Identifier: MIT
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "../crash/second_view.hpp"
#include "../support/catch.hpp"
#include "../support/own_maps.hpp"
#include "../unit/os_support.hpp"
#include "mews/base/sanitizer.hpp"
#include "site.hpp"

using namespace process_test;

namespace {

/// Four gibibytes of slabs.
mews::CreateOptions large_arena() {
  mews::CreateOptions options;
  options.name = unique_name("large");
  options.size_classes = {{1024, 4096}, {65536, 16384}, {1 << 20, 1024}, {16 << 20, 128}};
  options.reply_slabs = 0;
  options.max_plugins = 2;
  return options;
}

constexpr std::uint64_t kLittle = std::uint64_t{24} << 20;

Words resident(const Words& words) {
  Words command{MEWS_TEST_BIN_DIR "/resident_plugin"};
  command.insert(command.end(), words.begin(), words.end());
  return command;
}

/// Whether the kernel leaves the mapping at `address` out of core dumps.
bool is_left_out_of_dumps(std::uint64_t address) {
  std::ifstream smaps("/proc/self/smaps");
  bool is_here = false;
  for (std::string line; std::getline(smaps, line);) {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    if (std::sscanf(line.c_str(), "%" SCNx64 "-%" SCNx64 " ", &begin, &end) == 2) {
      is_here = begin <= address && address < end;
    } else if (is_here && line.starts_with("VmFlags:")) {
      return line.find(" dd") != std::string::npos;
    }
  }
  throw std::runtime_error("not mapped");
}

/// A folder of its own for a core dump.
class DumpFolder {
 public:
  DumpFolder() : path_(std::filesystem::temp_directory_path() / unique_name("mews-core")) {
    std::filesystem::create_directory(path_);
  }
  DumpFolder(const DumpFolder&) = delete;
  DumpFolder& operator=(const DumpFolder&) = delete;
  ~DumpFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string path() const { return path_.string(); }
  [[nodiscard]] std::uint64_t largest_file_bytes() const {
    std::uintmax_t largest = 0;
    for (const auto& entry : std::filesystem::directory_iterator(path_))
      largest = std::max(largest, entry.file_size());
    return largest;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("resident: slabs are left out of core dumps in every mapping, words and lanes are not") {
  auto options = large_arena();
  auto host = must(mews::Session::create(options));
  auto [plugin, guest] = must(host.connect("guest"));
  const auto loan = must(plugin.channel().loan(100'000));
  const auto parts = mews_test::own_maps("mews-" + options.name);
  const auto view = mews_test::second_view(options.name);
  REQUIRE(view);
  const auto& geometry = view->geometry();
  int slabs = 0;
  for (const auto& part : parts) {
    const bool is_slabs = part.offset >= geometry.classes[0].slabs_offset;
    if (is_slabs) ++slabs;
    if (is_slabs) CHECK(is_left_out_of_dumps(part.begin));
    if (part.offset < geometry.cells_offset) CHECK_FALSE(is_left_out_of_dumps(part.begin));
  }
  CHECK(slabs >= 2);  // the open chunk and what is behind it
  CHECK_FALSE(is_left_out_of_dumps(mews_test::part_at(parts, geometry.cells_offset).begin));
}

TEST_CASE("resident: a plugin that dumps core brings no slab into being, and its death is told") {
  std::string pattern;
  std::getline(std::ifstream("/proc/sys/kernel/core_pattern"), pattern);
  if (pattern.starts_with('|')) SKIP("core dumps go to a program");
  rlimit limit{};
  ::getrlimit(RLIMIT_CORE, &limit);
  if (limit.rlim_max != RLIM_INFINITY && ::geteuid() != 0) SKIP("core dumps are limited here");
  const DumpFolder folder;
  auto host = must(mews::Session::create(large_arena()));
  auto plugin = must(host.spawn("dumper", resident({"dump", folder.path()})));
  REQUIRE(must(plugin.channel().receive(kPatience)).text() == "ready");
  must(plugin.channel().send(bytes_of("go")));
  CHECK(outcome(plugin.channel().receive(kPatience)) == "peer_died");
  CHECK(must(plugin.wait_exit(kPatience)).number == SIGABRT);
  CHECK(host.stats().arena_resident_bytes < kLittle);
  CHECK(host.stats().is_all_free());
  if (pattern.find('/') == std::string::npos) {
    CHECK(folder.largest_file_bytes() > 0);
    // ThreadSanitizer's own memory is in the dump, and larger than the arena.
    if (!mews::base::kIsThreadSanitized) {
      CHECK(folder.largest_file_bytes() < (std::uint64_t{1} << 30));
    }
  }
}

TEST_CASE("resident: the arena stays sparse when a plugin locks all its memory") {
  const std::string when = GENERATE("future", "current");
  INFO(when);
  auto host = must(mews::Session::create(large_arena()));
  auto plugin = must(host.spawn("locker", resident({when})));
  auto& channel = plugin.channel();
  auto loan = must(channel.loan(100'000));
  must(channel.send(std::move(loan)));
  if (const auto reply = channel.receive(kPatience); !reply) {
    if (must(plugin.wait_exit(kPatience)).number == 97) SKIP("this user may not lock memory");
    FAIL(reply.error().message());
  }
  CHECK(converse(channel, 20, 1).empty());
  CHECK(host.stats().arena_resident_bytes < kLittle);
}

TEST_CASE("resident: the arena stays sparse when the host locks all its memory") {
  os_test::Fork child([] {
    if (::mlockall(MCL_FUTURE) != 0) return 97;
    auto host = mews::Session::create(large_arena());
    if (!host) return 1;
    auto pair = host->connect("guest");
    if (!pair) return 2;
    auto loan = pair->first.channel().loan(100'000);
    if (!loan || !pair->first.channel().send(std::move(*loan))) return 3;
    if (!pair->second.channel().receive(kPatience)) return 4;
    if (host->stats().arena_resident_bytes >= kLittle) return 5;
    if (::mlockall(MCL_CURRENT) != 0) return 97;
    return host->stats().arena_resident_bytes < kLittle ? 0 : 6;
  });
  const auto outcome = child.outcome();
  if (outcome == "exit code 97") SKIP("this user may not lock memory");
  CHECK(outcome == "exit code 0");
}

TEST_CASE("resident: an arena above the limit of file sizes is an error, and nothing is left") {
  const auto backing = GENERATE(mews::Backing::anonymous, mews::Backing::named);
  auto options = large_arena();
  options.backing = backing;
  os_test::Fork child([&] {
    ::signal(SIGXFSZ, SIG_DFL);
    const rlimit limit{1 << 20, 1 << 20};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    const auto host = mews::Session::create(options);
    if (host || host.error().os_errno() != EFBIG) return 2;
    return host.error().message().find("ulimit -f") != std::string::npos ? 0 : 3;
  });
  CHECK(child.outcome() == "exit code 0");
  for (const auto& entry : std::filesystem::directory_iterator("/dev/shm"))
    CHECK(entry.path().string().find(options.name) == std::string::npos);
}

TEST_CASE("resident: a limit of locked memory is explained as that") {
  if (mews::base::kIsAddressSanitized || mews::base::kIsThreadSanitized) {
    SKIP("sanitizers make mlockall do nothing");
  }
  os_test::Fork child([] {
    const rlimit limit{8 << 20, 8 << 20};
    if (::setrlimit(RLIMIT_MEMLOCK, &limit) != 0) return 97;
    if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) return 97;
    if (::mlockall(MCL_FUTURE) != 0) return 97;
    const auto host = mews::Session::create(large_arena());
    if (host || host.error().code() != mews::ErrorCode::out_of_memory) return 2;
    return host.error().message().find("ulimit -l") != std::string::npos ? 0 : 3;
  });
  const auto outcome = child.outcome();
  if (outcome == "exit code 97") SKIP("this user may not lock memory");
  CHECK(outcome == "exit code 0");
}
