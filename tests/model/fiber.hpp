// SPDX-License-Identifier: MIT
#pragma once

#include <boost/context/fiber.hpp>
#include <boost/context/preallocated.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <utility>

namespace mews::model {

/// A stack that can be entered and left at any time, and dropped in the middle like a killed
/// process: nothing on it is unwound.
class Fiber {
 public:
  Fiber() : stack_(std::make_unique<std::byte[]>(kStackBytes)) { forget(); }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
  // The storage is given up without its destructor, which would unwind an abandoned stack.
  ~Fiber() = default;

  /// Prepares `body` and abandons an earlier one. `body` must outlive the run.
  void start(const std::function<void()>& body) {
    forget();
    namespace ctx = boost::context;
    const ctx::stack_context stack = [this] {
      ctx::stack_context context;
      context.size = kStackBytes;
      context.sp = stack_.get() + kStackBytes;
      return context;
    }();
    inside() = ctx::fiber(std::allocator_arg, ctx::preallocated(stack.sp, stack.size, stack),
                          KeepStack{}, [this, &body](ctx::fiber&& outside) {
                            outside_ = std::move(outside);
                            body();
                            return std::move(outside_);
                          });
  }

  /// From outside: runs the fiber until it suspends or its body returns.
  void resume() { inside() = std::move(inside()).resume(); }

  /// From inside: back to whoever resumed.
  void suspend() { outside_ = std::move(outside_).resume(); }

 private:
  struct KeepStack {
    void deallocate(boost::context::stack_context&) noexcept {}
  };
  static constexpr std::size_t kStackBytes = 128 * 1024;

  boost::context::fiber& inside() noexcept {
    return *std::launder(reinterpret_cast<boost::context::fiber*>(inside_));
  }
  void forget() noexcept { new (inside_) boost::context::fiber; }

  std::unique_ptr<std::byte[]> stack_;
  alignas(boost::context::fiber) std::byte inside_[sizeof(boost::context::fiber)];
  boost::context::fiber outside_;
};

}  // namespace mews::model
