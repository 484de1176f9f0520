#include "proxy/random.hpp"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <system_error>

#include "protocol/base64.hpp"

namespace proxy {

void fill_random(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::getrandom(bytes.data(), bytes.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw std::system_error(errno, std::generic_category(), "getrandom");
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

double random_fraction() {
  std::uint64_t bits = 0;
  fill_random(std::as_writable_bytes(std::span(&bits, 1)));
  return std::ldexp(static_cast<double>(bits >> 11), -53);
}

std::string random_nonce() {
  std::array<std::byte, 18> bytes{};
  fill_random(bytes);
  return pgwire::base64_encode(bytes);
}

}  // namespace proxy
