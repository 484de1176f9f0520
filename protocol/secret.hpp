// Texts and keys that nobody else should see.
//
// Both types wipe their bytes when they are destroyed, overwritten or moved from, so that a core dump, or memory
// that is used again, shows as little of them as can be. There is no stream operator and no conversion on purpose:
// what is inside must be asked for by name, and the name shows up in review. Copies are allowed, and each wipes
// itself. Comparing takes a time that depends on the lengths only.
//
// What must hold: a secret is never kept in a std::string, whose old buffers stay behind unwiped.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace pgwire {

/// Overwrites with zeros in a way that the compiler does not leave out.
void wipe(std::span<std::byte> bytes) noexcept;

/// For secrets and for all that is compared with one. Lengths are no secret.
bool constant_time_equal(std::span<const std::byte> a, std::span<const std::byte> b) noexcept;

/// A text of any length, any bytes. Always on the heap, so that a move leaves nothing behind.
class secret_string {
 public:
  secret_string() = default;
  /// Copies; the original is the caller's to wipe.
  explicit secret_string(std::string_view text) : secret_string(text.size()) { text.copy(text_.get(), text.size()); }
  /// So many zero bytes, to be filled through `writable`.
  explicit secret_string(std::size_t size) : text_(size == 0 ? nullptr : new char[size]()), size_(size) {}

  secret_string(const secret_string& other) : secret_string(other.view()) {}
  secret_string(secret_string&& other) noexcept : text_(std::move(other.text_)), size_(std::exchange(other.size_, 0)) {}
  secret_string& operator=(secret_string other) noexcept {
    std::swap(text_, other.text_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~secret_string() { wipe(std::as_writable_bytes(writable())); }

  /// Valid until the secret is assigned to, moved from or destroyed.
  [[nodiscard]] std::string_view view() const { return {text_.get(), size_}; }
  [[nodiscard]] std::span<char> writable() { return {text_.get(), size_}; }

  friend bool operator==(const secret_string& a, const secret_string& b) {
    return constant_time_equal(std::as_bytes(std::span(a.view())), std::as_bytes(std::span(b.view())));
  }

 private:
  std::unique_ptr<char[]> text_;
  std::size_t size_ = 0;
};

/// The 32 bytes of a SHA-256 digest, an HMAC or a SCRAM key. All zero to begin with.
class secret_key {
 public:
  static constexpr std::size_t size = 32;

  secret_key() = default;
  explicit secret_key(std::span<const std::byte, size> bytes) { std::ranges::copy(bytes, bytes_.begin()); }

  secret_key(const secret_key&) = default;
  secret_key(secret_key&& other) noexcept : bytes_(other.bytes_) { other.clear(); }
  secret_key& operator=(const secret_key&) = default;
  secret_key& operator=(secret_key&& other) noexcept {
    if (this == &other) return *this;
    bytes_ = other.bytes_;
    other.clear();
    return *this;
  }
  ~secret_key() { clear(); }

  /// Valid as long as the key is.
  [[nodiscard]] std::span<const std::byte, size> bytes() const { return bytes_; }
  [[nodiscard]] std::span<std::byte, size> writable() { return bytes_; }

  friend secret_key operator^(secret_key a, const secret_key& b) {
    for (std::size_t i = 0; i < size; ++i) a.bytes_[i] ^= b.bytes_[i];
    return a;
  }
  friend bool operator==(const secret_key& a, const secret_key& b) { return constant_time_equal(a.bytes_, b.bytes_); }

 private:
  void clear() noexcept { wipe(bytes_); }

  std::array<std::byte, size> bytes_{};
};

}  // namespace pgwire
