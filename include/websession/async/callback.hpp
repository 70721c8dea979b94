// A function to be called later.
#pragma once

#include <concepts>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

#include "websession/config.hpp"
#include "websession/result.hpp"

WEBSESSION_API_BEGIN
namespace websession {

template <class Signature>
class Callback;

// Like std::function, but for what can only be moved, as the handlers of frameworks are. What takes
// no more room than four pointers needs no memory of its own.
//
// Calling an empty one is undefined.
template <class R, class... Args>
class Callback<R(Args...)> {
 public:
  Callback() noexcept = default;
  // NOLINTBEGIN(google-explicit-constructor,bugprone-forwarding-reference-overload): a lambda is
  // one, and no Callback is taken for a lambda.
  template <class F>
  requires(!std::same_as<std::remove_cvref_t<F>, Callback> &&
           std::is_invocable_r_v<R, std::remove_cvref_t<F>&, Args...>) Callback(F&& function) {
    using Function = std::remove_cvref_t<F>;
    if constexpr (fits<Function>) {
      ::new (static_cast<void*>(room_)) Function(std::forward<F>(function));
      deeds_ = &Inline<Function>::deeds;
    } else {
      ::new (static_cast<void*>(room_)) Function*(new Function(std::forward<F>(function)));
      deeds_ = &OnHeap<Function>::deeds;
    }
  }
  // NOLINTEND(google-explicit-constructor,bugprone-forwarding-reference-overload)
  Callback(Callback&& other) noexcept { take(other); }
  Callback& operator=(Callback&& other) noexcept {
    Callback taken(std::move(other));  // it may be what this one holds
    reset();
    take(taken);
    return *this;
  }
  ~Callback() { reset(); }

  explicit operator bool() const noexcept { return deeds_ != nullptr; }
  R operator()(Args... args) { return deeds_->call(room_, std::forward<Args>(args)...); }

 private:
  struct Deeds {
    R (*call)(void* room, Args&&... args);
    void (*move)(void* from, void* to) noexcept;  // and leaves nothing in `from`
    void (*destroy)(void* room) noexcept;
  };
  static constexpr std::size_t room_size = 4 * sizeof(void*);
  static constexpr std::size_t room_alignment = alignof(std::max_align_t);
  static constexpr bool has_room(std::size_t size, std::size_t alignment) noexcept {
    return size <= room_size && alignment <= room_alignment;
  }
  template <class F>
  static constexpr bool fits =
      has_room(sizeof(F), alignof(F)) && std::is_nothrow_move_constructible_v<F>;

  template <class F>
  static R invoke(F& function, Args&&... args) {
    if constexpr (std::is_void_v<R>) {
      static_cast<void>(function(std::forward<Args>(args)...));
    } else {
      return function(std::forward<Args>(args)...);
    }
  }

  template <class F>
  struct Inline {
    static F& in(void* room) noexcept { return *std::launder(static_cast<F*>(room)); }
    static constexpr Deeds deeds{[](void* room, Args&&... args) -> R {
                                   return invoke(in(room), std::forward<Args>(args)...);
                                 },
                                 [](void* from, void* to) noexcept {
                                   ::new (to) F(std::move(in(from)));
                                   in(from).~F();
                                 },
                                 [](void* room) noexcept { in(room).~F(); }};
  };
  template <class F>
  struct OnHeap {
    static F*& in(void* room) noexcept { return *std::launder(static_cast<F**>(room)); }
    static constexpr Deeds deeds{[](void* room, Args&&... args) -> R {
                                   return invoke(*in(room), std::forward<Args>(args)...);
                                 },
                                 [](void* from, void* to) noexcept { ::new (to) F*(in(from)); },
                                 [](void* room) noexcept { delete in(room); }};
  };

  void take(Callback& other) noexcept {
    deeds_ = std::exchange(other.deeds_, nullptr);
    if (deeds_ != nullptr) deeds_->move(other.room_, room_);
  }
  void reset() noexcept {
    if (const Deeds* deeds = std::exchange(deeds_, nullptr)) deeds->destroy(room_);
  }

  const Deeds* deeds_ = nullptr;
  alignas(room_alignment) std::byte room_[room_size];
};

// Who is told what became of an operation, once. It must not throw.
template <class T>
using Done = Callback<void(Result<T>)>;

}  // namespace websession
WEBSESSION_API_END
