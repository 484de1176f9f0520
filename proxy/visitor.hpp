// A connection that a door has let in, on its way to the worker where its session will live.
#pragma once

#include "proxy/io.hpp"

namespace proxy {

struct visitor {
  int descriptor = -1;  ///< connected; whoever holds the visitor last closes it
  endpoint peer;
  bool plain_text_allowed = true;  ///< what the door's tls.mode says
};

}  // namespace proxy
