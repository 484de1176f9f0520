#include "protocol/cancel_key.hpp"

#include <algorithm>

namespace pgwire {

cancel_key::cancel_key(std::int32_t process_id, std::span<const std::byte> secret)
    : process_id_(process_id), size_(static_cast<std::uint16_t>(std::min(secret.size(), most_secret_bytes))) {
  std::copy_n(secret.begin(), size_, secret_.begin());
}

bool operator==(const cancel_key& a, const cancel_key& b) {
  // All 256 bytes, unused ones being zero, so that not even the lengths show. Volatile keeps the loop whole.
  volatile std::uint32_t difference =
      static_cast<std::uint32_t>(a.process_id_ ^ b.process_id_) | static_cast<std::uint32_t>(a.size_ ^ b.size_);
  for (std::size_t i = 0; i < a.secret_.size(); ++i) {
    difference = difference | std::to_integer<std::uint32_t>(a.secret_[i] ^ b.secret_[i]);
  }
  return difference == 0;
}

}  // namespace pgwire
