// The key of a CancelRequest: a process id and a secret of 4 to 256 bytes (PostgreSQL docs, 55.7,
// BackendKeyData).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace pgwire {

class cancel_key {
 public:
  static constexpr std::size_t most_secret_bytes = 256;

  cancel_key() = default;
  /// Copies the secret. Longer ones than the protocol allows are cut; the decoders refuse them before.
  cancel_key(std::int32_t process_id, std::span<const std::byte> secret);

  [[nodiscard]] std::int32_t process_id() const { return process_id_; }
  [[nodiscard]] std::span<const std::byte> secret() const { return std::span(secret_).first(size_); }

  /// In a time that depends on the lengths only, never on where the secrets differ.
  friend bool operator==(const cancel_key& a, const cancel_key& b);

 private:
  std::int32_t process_id_ = 0;
  std::uint16_t size_ = 0;
  std::array<std::byte, most_secret_bytes> secret_{};
};

}  // namespace pgwire
