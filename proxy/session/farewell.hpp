// The last words to a client.
#pragma once

#include <string_view>

#include "proxy/io.hpp"
#include "proxy/transport.hpp"
#include "proxy/worker.hpp"

namespace proxy {

/// Sends `words` and waits until the client has closed: to close with bytes of it unread would reset the connection,
/// and the client might lose what it was told. Whoever calls bounds the wait by cancelling `client`.
task<void> say_farewell(worker& home, transport& client, std::string_view words);

}  // namespace proxy
