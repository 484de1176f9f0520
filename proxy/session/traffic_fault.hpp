// A message that the protocol forbids.
#pragma once

#include "protocol/error.hpp"

namespace proxy {

struct traffic_fault {
  pgwire::errc code;
  char type;  ///< the message type as it came
};

}  // namespace proxy
