#include "proxy/auth/peer_address.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace proxy {
namespace {

constexpr unsigned v6_neighbourhood_bits = 64;

}  // namespace

std::optional<conf::ip_address> ip_of(const endpoint& peer) {
  const sockaddr* address = peer.data();
  if (address->sa_family == AF_INET) {
    std::array<std::uint8_t, 4> bytes{};
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in*>(address)->sin_addr, bytes.size());
    return conf::ip_of_v4(bytes);
  }
  if (address->sa_family == AF_INET6) {
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr, bytes.size());
    return conf::ip_of_v6(bytes);
  }
  return std::nullopt;
}

conf::ip_address neighbourhood(const conf::ip_address& address) {
  return address.kind == conf::ip_address::family::v4 ? address : conf::masked(address, v6_neighbourhood_bits);
}

}  // namespace proxy
