// What becomes of the server connection that a session had for itself, once its client has left: it is made as new and
// given to the pool, for whoever starts with the same startup packet.
#pragma once

#include <memory>

#include "proxy/pool/parameters.hpp"
#include "proxy/pool/server_connection.hpp"
#include "proxy/session/cancel_registry.hpp"

namespace proxy {

class server_pool;
class worker;

struct left_behind {
  std::shared_ptr<server_pool> pool;
  connection_id id = 0;           ///< lent by that pool
  std::shared_ptr<transport> io;  ///< of this worker; nothing is owed either way, and no transaction is open
  std::shared_ptr<const cancel_target> cancel;
  cancel_registry::handle key;  ///< the client's, that leads there
  parameters_ptr reported;      ///< by the server until now
};

/// Resets it and gives it back; whatever fails or takes longer than `most`, it is closed.
void hand_on(worker& home, left_behind what, clock::duration most);

}  // namespace proxy
