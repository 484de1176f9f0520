// Passes a cancel request on to the server that runs the statement.
#pragma once

#include <functional>

#include "proxy/session/cancel_registry.hpp"
#include "proxy/session/dial.hpp"

namespace proxy {

/// Connects `server` to the target, sends its key and waits until the server has closed, which is when PostgreSQL has
/// sent the signal: clients that wait for our closing rely on that. Calls `sent`, unless it is empty, before the first
/// byte. True: the server has closed. Errors have no other effect, as the protocol has no answer to a cancel request
/// (PostgreSQL docs, 55.2.8). All must outlive the call.
task<bool> deliver_cancel(dial& dialling, transport& server, const cancel_target& target,
                          const std::function<void()>& sent);

/// The same for a request to a session, which is told what becomes of it.
task<void> forward_cancel(dial& dialling, transport& server, cancel_registry::request& what);

/// Waits until no request is on its way to what the key has cancelled, which must be aimed elsewhere by now. False: one
/// has ended of which nobody knows whether it will still arrive at `at`, where it would hit whoever has that next.
task<bool> cancels_settled(asio::io_context& home, cancel_registry::handle& key,
                           const std::shared_ptr<const cancel_target>& at);

/// The same for a request of the lodge's own, by itself and for ten seconds at most.
void send_cancel(worker& home, cancel_registry::request what);

/// Something of that kind, by itself and for ten seconds at most: what it does with the two is cancelled then. `done`,
/// unless it is empty, is called when it has ended.
using cancel_errand = std::function<task<void>(dial& dialling, transport& server)>;
void run_cancel_errand(worker& home, cancel_errand errand, std::function<void()> done);

}  // namespace proxy
