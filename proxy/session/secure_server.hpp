// TLS with a server that was just connected to: whether, and with whom, is what its tls.mode says.
#pragma once

#include <expected>
#include <string>

#include "proxy/credentials.hpp"
#include "proxy/transport.hpp"
#include "routing/route.hpp"

namespace proxy {

/// Why there is no TLS.
struct not_secured {
  std::string why;               ///< for people
  bool handshake_began = false;  ///< the server said that it speaks TLS, and then no agreement was reached
  bool lost = false;             ///< the connection ended, or was too slow: nothing that was said is in the way
};

/// Asks for TLS and shakes hands, or leaves the connection as it is: under `disable`, under `prefer` where the server
/// declines, and on Unix sockets, as libpq does. `host` is the name as the table has it. After an error the connection
/// is of no more use, under `prefer` as well. All must outlive the call.
task<std::expected<void, not_secured>> secure_server(transport& server, const server_access& how,
                                                     routing::tls_mode mode, const std::string& host);

}  // namespace proxy
