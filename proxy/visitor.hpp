// A connection that a door has let in, on its way to the worker where its session will live.
#pragma once

#include <memory>

#include "proxy/io.hpp"
#include "proxy/tls.hpp"

namespace proxy {

struct visitor {
  int descriptor = -1;  ///< connected; whoever holds the visitor last closes it
  endpoint peer;
  std::shared_ptr<const door_tls> tls;  ///< the door's, as it was on entering; null: none is spoken there
  bool plain_text_allowed = true;       ///< what the door's tls.mode says
  bool cancels_only = false;            ///< nobody may log in there
};

}  // namespace proxy
