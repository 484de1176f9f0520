// TLS with a server that was just connected to: whether, and with whom, is what its tls.mode says.
#pragma once

#include <expected>
#include <string>

#include "proxy/credentials.hpp"
#include "proxy/transport.hpp"
#include "routing/route.hpp"

namespace proxy {

/// Asks for TLS and shakes hands, or leaves the connection as it is: under `disable`, under `prefer` where the server
/// declines, and on Unix sockets, as libpq does. `host` is the name as the table has it. The error is for people.
/// All must outlive the call.
task<std::expected<void, std::string>> secure_server(transport& server, const server_access& how,
                                                     routing::tls_mode mode, const std::string& host);

}  // namespace proxy
