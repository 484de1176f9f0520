// An optional value that few of its owners have: it costs a pointer where it is not there, and lives on the heap where
// it is. For what a session needs once in its life or never, so that thousands of idle ones do not keep room for it.
#pragma once

#include <memory>
#include <optional>
#include <utility>

namespace proxy {

/// Move-only.
template <class T>
class seldom {
 public:
  seldom() = default;
  seldom(std::nullopt_t) {}
  seldom(T value) : value_(std::make_unique<T>(std::move(value))) {}
  seldom(std::optional<T> value) {
    if (value) emplace(std::move(*value));
  }

  template <class... Arguments>
  T& emplace(Arguments&&... arguments) {
    value_ = std::make_unique<T>(std::forward<Arguments>(arguments)...);
    return *value_;
  }
  void reset() { value_.reset(); }
  /// What was there, which is not any more.
  [[nodiscard]] std::optional<T> take() {
    std::optional<T> taken;
    if (const auto had = std::exchange(value_, nullptr)) taken.emplace(std::move(*had));
    return taken;
  }

  [[nodiscard]] bool has_value() const { return value_ != nullptr; }
  explicit operator bool() const { return has_value(); }
  [[nodiscard]] T& operator*() { return *value_; }
  [[nodiscard]] const T& operator*() const { return *value_; }
  [[nodiscard]] T* operator->() { return value_.get(); }
  [[nodiscard]] const T* operator->() const { return value_.get(); }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace proxy
