// A file descriptor that closes itself, until somebody takes it.
#pragma once

#include <unistd.h>

#include <utility>

namespace proxy {

/// Move-only. Negative: none.
class owned_descriptor {
 public:
  owned_descriptor() = default;
  explicit owned_descriptor(int fd) : fd_(fd) {}
  owned_descriptor(owned_descriptor&& other) noexcept : fd_(other.release()) {}
  owned_descriptor& operator=(owned_descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~owned_descriptor() {
    if (is_open()) ::close(fd_);
  }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

}  // namespace proxy
