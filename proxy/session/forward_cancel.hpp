// Passes a cancel request on to the server that runs the statement.
#pragma once

#include "proxy/session/cancel_registry.hpp"
#include "proxy/session/dial.hpp"

namespace proxy {

/// Connects `server` to the request's target, sends its own key and waits until the server has closed, which is when
/// PostgreSQL has sent the signal: clients that wait for our closing rely on that. Errors end it silently, as the
/// protocol has no answer to a cancel request (PostgreSQL docs, 55.2.8).
task<void> forward_cancel(dial& dialling, transport& server, cancel_registry::request& what);

/// The same for a request of the lodge's own, by itself and for ten seconds at most.
void send_cancel(asio::io_context& home, cancel_registry::request what);

}  // namespace proxy
