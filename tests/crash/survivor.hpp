// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "crash/host_side.hpp"
#include "crash/victim_log.hpp"
#include "mews/mem/arena.hpp"
#include "mews/mews.hpp"

namespace mews_test {

/// What a survivor does until its host is gone. All receive what comes, and go on to send until
/// they are told of the end.
enum class Part : std::uint8_t {
  stream,  ///< sends messages of all sizes
  quiet,   ///< sends only what travels in the lane
  ping,    ///< sends all sizes, each when the host sleeps for it, and waits for the answer
  late,    ///< as quiet, but begins to receive when the host sleeps for room
  lend,    ///< wants slabs, all it can get; sends nothing
  holder,  ///< has every slab there is, and gives them back when the host sleeps for one
};

/// A plugin whose host may end at any step: one thread receives, one sends or wants slabs, and both
/// are to learn of the end. It keeps some of what it received.
class Survivor {
 public:
  explicit Survivor(VictimLog& log) : log_(log) {}
  Survivor(const Survivor&) = delete;
  Survivor& operator=(const Survivor&) = delete;
  ~Survivor() { join(); }

  /// False, with the reason in `refusal`, when there was nothing to attach to.
  [[nodiscard]] bool attach(mews::AttachOptions options);
  [[nodiscard]] std::optional<mews::ErrorCode> refusal() const noexcept { return refusal_; }
  [[nodiscard]] mews::Channel& channel() noexcept { return session_->channel(); }

  /// What its part needs before the host may begin. `arena` is a view of it that outlives this.
  void prepare(Part part, const mews::mem::Arena& arena, mews::PeerId self);
  /// Does its part until each thread has been told that the host is gone.
  void work_to_the_end();

  /// What is wrong; empty when every call has ended as it must, and every byte is as it was sent.
  [[nodiscard]] std::string verdict() const;
  [[nodiscard]] std::string check_kept() const;
  /// Slabs in its hands.
  [[nodiscard]] std::uint32_t slabs_kept() const noexcept;
  [[nodiscard]] std::uint64_t sent() const noexcept { return sent_.load(); }

 private:
  void receive_all();
  void do_part();
  bool send_next(std::size_t bytes);
  void send_all();
  void lend_all();
  void hold_all();
  void join();

  struct Ending {
    std::string problem;
    std::optional<mews::ErrorCode> code;
    void note(const char* call, const mews::Error& error);
    void note_if_stuck(const char* call, const Patience& patience);
  };
  /// Or until the end.
  template <class IsSo>
  void wait_until(Ending& whose, IsSo&& is_so) const;
  struct Kept {
    std::uint64_t number;
    mews::Message message;
  };

  VictimLog& log_;
  std::optional<mews::Session> session_;
  std::optional<mews::ErrorCode> refusal_;
  Part part_ = Part::stream;
  const mews::mem::Arena* arena_ = nullptr;
  mews::PeerId self_{};
  std::vector<Kept> kept_;
  std::vector<mews::Loan> loans_;
  std::atomic<std::uint64_t> received_{0};
  std::atomic<std::uint64_t> sent_{0};
  std::atomic<bool> is_over_{false};  ///< one of the threads has been told
  Ending receiving_;
  Ending doing_;
  std::vector<std::thread> threads_;
};

}  // namespace mews_test
