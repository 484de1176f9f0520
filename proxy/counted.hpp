// A count that cannot drift: whoever is counted holds a handle, and the handle's end gives the unit back.
#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace proxy {

class counter;

/// Move-only; a default-constructed one counts nothing.
class [[nodiscard]] counted {
 public:
  counted() = default;
  counted(counted&& other) noexcept : in_(std::exchange(other.in_, nullptr)) {}
  counted& operator=(counted&& other) noexcept {
    std::swap(in_, other.in_);
    return *this;
  }
  counted(const counted&) = delete;
  counted& operator=(const counted&) = delete;
  inline ~counted();

 private:
  friend class counter;
  explicit counted(counter& in) : in_(&in) {}
  counter* in_ = nullptr;
};

/// Safe to use from any thread; must outlive its handles.
class counter {
 public:
  counted add() {
    value_.fetch_add(1, std::memory_order_relaxed);
    return counted(*this);
  }
  [[nodiscard]] std::size_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  friend class counted;
  std::atomic<std::size_t> value_{0};
};

inline counted::~counted() {
  if (in_ != nullptr) in_->value_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace proxy
