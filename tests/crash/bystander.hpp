// SPDX-License-Identifier: MIT
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <thread>

#include "crash/held_slabs.hpp"
#include "mews/mews.hpp"

namespace mews_test {

/// A second plugin of a host that may end at any step. It works throughout: messages
/// go to the host and come back, until it is told of the end. It keeps `HeldSlabs`.
class Bystander {
 public:
  Bystander() = default;
  Bystander(const Bystander&) = delete;
  Bystander& operator=(const Bystander&) = delete;
  ~Bystander() { join(); }

  /// False when there was nothing to attach to.
  [[nodiscard]] bool attach(mews::AttachOptions options);
  [[nodiscard]] bool has_attached() const noexcept { return session_.has_value(); }
  /// Begins, and waits until it is at work, or has failed.
  void begin();
  /// Until it has been told of the end.
  void join();

  /// After `join`: what is wrong; empty when it noticed nothing but the end.
  [[nodiscard]] std::string verdict() const;
  [[nodiscard]] std::uint64_t rounds() const noexcept { return rounds_.load(); }

 private:
  void run();
  /// Nothing when all went well.
  [[nodiscard]] std::optional<mews::Error> one_round(std::uint64_t number);

  std::optional<mews::Session> session_;
  std::optional<HeldSlabs> held_slabs_;
  std::atomic<std::uint64_t> rounds_{0};
  std::atomic<bool> is_over_{false};
  std::string problem_;
  std::thread thread_;
};

}  // namespace mews_test
