// Where a client comes from, as the rules and the throttle see it.
#pragma once

#include <optional>

#include "conf/network.hpp"
#include "proxy/io.hpp"

namespace proxy {

/// Nothing for Unix sockets.
std::optional<conf::ip_address> ip_of(const endpoint& peer);

/// What counts as one client where addresses are free to choose: an IPv4 address, or the /64 that an IPv6 address is
/// from, the least that anybody is given (RFC 6177).
conf::ip_address neighbourhood(const conf::ip_address& address);

}  // namespace proxy
