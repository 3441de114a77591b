// SPDX-License-Identifier: MIT
#pragma once

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "crash/encounter.hpp"
#include "crash/witness.hpp"
#include "mews/mews.hpp"

namespace mews_test {

/// A plugin whose host may end at any step: one thread receives, one sends, one wants slabs, and
/// all of them are to learn of the end. It keeps some of what it received.
class Survivor {
 public:
  explicit Survivor(Witness& witness) : witness_(witness) {}
  Survivor(const Survivor&) = delete;
  Survivor& operator=(const Survivor&) = delete;
  ~Survivor() { join(); }

  /// False, with the reason in `refusal`, when there was nothing to attach to.
  [[nodiscard]] bool attach(const std::string& name, std::chrono::milliseconds timeout);
  [[nodiscard]] std::optional<mews::ErrorCode> refusal() const noexcept { return refusal_; }

  /// Works until each thread has been told that the host is gone. `slabs`: a thread wants as many
  /// as it can get, once the host has taken all.
  void work_to_the_end(bool wants_slabs);

  /// What is wrong; empty when every call has ended as it must, and every byte is as it was sent.
  [[nodiscard]] std::string verdict() const;
  [[nodiscard]] std::string check_kept() const;

 private:
  void receive_all();
  void send_all();
  void lend_all();
  void join();

  struct Ending {
    std::string problem;
    std::optional<mews::ErrorCode> code;
    void note(const char* call, const mews::Error& error);
  };
  struct Kept {
    std::uint64_t number;
    mews::Message message;
  };

  Witness& witness_;
  std::optional<mews::Session> session_;
  std::optional<mews::ErrorCode> refusal_;
  std::vector<Kept> kept_;
  std::vector<mews::Loan> loans_;
  std::uint64_t received_ = 0;
  std::atomic<std::uint64_t> sent_{0};
  Ending receiving_;
  Ending sending_;
  Ending lending_;
  std::vector<std::thread> threads_;
};

}  // namespace mews_test
