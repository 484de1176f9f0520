// IP addresses and networks as rules write them: 192.0.2.7, 10.0.0.0/8, 2001:db8::/32.
//
// An IPv4 address has one form here: what comes as an IPv6 address that maps one (::ffff:192.0.2.7), as it does from a
// socket that listens for both, is that IPv4 address. Otherwise a rule about 10.0.0.0/8 would not hold for all doors.
//
// Read strictly, as a rule that is taken for another lets the wrong ones in: four decimal numbers without leading
// zeros, RFC 4291 for IPv6, no zone, and no bits behind a network's prefix.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace conf {

struct ip_address {
  enum class family : std::uint8_t { v4 = 4, v6 = 16 };  ///< the values are the lengths in bytes
  family kind = family::v4;
  std::array<std::uint8_t, 16> bytes{};  ///< in network order; those of IPv4 are the first four
  friend auto operator<=>(const ip_address&, const ip_address&) = default;
};

/// From the bytes of a socket's address; 16 bytes that map an IPv4 address become that.
ip_address ip_of_v4(const std::array<std::uint8_t, 4>& bytes);
ip_address ip_of_v6(const std::array<std::uint8_t, 16>& bytes);

/// The address without the bits behind the first `prefix`.
ip_address masked(const ip_address& address, unsigned prefix);

/// An address alone; brackets are not part of one.
std::optional<ip_address> parse_ip(std::string_view text);

/// For people: dotted, or RFC 5952's form.
std::string to_string(const ip_address& address);

struct network {
  ip_address base;
  std::uint8_t prefix = 0;  ///< bits
  friend bool operator==(const network&, const network&) = default;
};

/// "address/prefix", or an address, which is a network of one. The error says what to write.
std::expected<network, std::string> parse_network(std::string_view text);

std::string to_string(const network& net);

[[nodiscard]] bool contains(const network& net, const ip_address& address);

}  // namespace conf
