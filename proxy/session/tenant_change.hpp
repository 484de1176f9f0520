// A session that becomes another tenant's, from the statement that names it until it is.
#pragma once

#include "proxy/session/tenant_speech.hpp"
#include "routing/session_state.hpp"

namespace proxy {

/// A change under way.
struct tenant_change {
  tenant_speech::move what;
  bool confirmed = false;  ///< by the server, or there is nothing to confirm
  bool sent = false;       ///< its statement is on its way
  bool ends = false;       ///< and complete: nothing else goes out until its outcome is known
  routing::session_state_ptr stood_for = {}, from_start = {};  ///< the session before it
};

/// The tenant that a session has yet to become, now that its statement has come to its end.
struct due_tenant {
  routing::tenant_id tenant;
  bool done;                                         ///< the statement has succeeded
  routing::session_state_ptr stood_for, from_start;  ///< else: the session before it, where it was taken elsewhere
};

}  // namespace proxy
