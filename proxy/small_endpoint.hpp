// A client's address in the room that an IP address and a port take. An endpoint has room for the longest there is,
// the path of a Unix socket, which clients have no use for: of those the family is all that is kept.
#pragma once

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "proxy/io.hpp"

namespace proxy {

class small_endpoint {
 public:
  explicit small_endpoint(const endpoint& from) {
    const bool is_ip = from.data()->sa_family == AF_INET || from.data()->sa_family == AF_INET6;
    const std::size_t kept = is_ip ? std::min(from.size(), bytes_.size()) : sizeof(sa_family_t);
    std::ranges::copy(std::span(reinterpret_cast<const std::byte*>(from.data()), kept), bytes_.begin());
    size_ = static_cast<std::uint8_t>(kept);
  }
  [[nodiscard]] endpoint whole() const { return {bytes_.data(), size_}; }

 private:
  std::array<std::byte, sizeof(sockaddr_in6)> bytes_{};
  std::uint8_t size_ = 0;
};

}  // namespace proxy
