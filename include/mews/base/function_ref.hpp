// SPDX-License-Identifier: MIT
#pragma once

#include <memory>
#include <type_traits>
#include <utility>

#include "mews/base/layout_version.hpp"

namespace mews::inline MEWS_LAYOUT::base {

/// A reference to a callable, for the time of one call: two words, no allocation. Binds to anything
/// callable with this signature, also to a reference, mutable or move-only. A parameter type: it
/// must not outlive its callable.
template <class Signature>
class FunctionRef;

template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F>
  requires(!std::is_same_v<std::remove_cvref_t<F>, FunctionRef> &&
           std::is_invocable_r_v<R, F&, Args...>) FunctionRef(F&& f)
  noexcept {  // NOLINT: reads as an argument
    using Target = std::remove_reference_t<F>;
    if constexpr (std::is_function_v<Target>) {
      target_.function = reinterpret_cast<void (*)()>(&f);
      call_ = [](Any target, Args... args) -> R {
        return static_cast<R>(
            reinterpret_cast<Target*>(target.function)(std::forward<Args>(args)...));
      };
    } else {
      target_.object = std::addressof(f);
      call_ = [](Any target, Args... args) -> R {
        // Const again where it was const.
        auto& called = *static_cast<Target*>(const_cast<void*>(target.object));
        return static_cast<R>(called(std::forward<Args>(args)...));
      };
    }
  }

  R operator()(Args... args) const { return call_(target_, std::forward<Args>(args)...); }

 private:
  union Any {
    const void* object;
    void (*function)();
  };
  Any target_;
  R (*call_)(Any, Args...);
};

}  // namespace mews::inline MEWS_LAYOUT::base
