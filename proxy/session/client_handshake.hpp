// Drives pgwire::handshake_fsm over a client's socket, TLS included.
#pragma once

#include <expected>
#include <variant>

#include "protocol/cancel_key.hpp"
#include "protocol/startup.hpp"
#include "proxy/session/ending.hpp"
#include "proxy/transport.hpp"

namespace proxy {

/// What a connection turns out to be for.
using opening = std::variant<pgwire::startup_message, pgwire::cancel_key>;

/// Reads the opening, packet by packet and not a byte more, answering requests for encryption: with TLS where `door`
/// is not null. `client` must outlive the call. A client that leaves before it said anything, as port checks do, ends
/// quietly, and so does one with which no TLS came about, since there is no way to tell it.
task<std::expected<opening, ending>> greet(transport& client, const door_tls* door);

}  // namespace proxy
