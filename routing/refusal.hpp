// Why a session is not let through, in the words the client gets.
#pragma once

#include <string>

namespace routing {

struct refusal {
  std::string sqlstate;
  std::string message;  ///< lower case, no full stop
  std::string detail;   ///< may be empty
  std::string hint;     ///< may be empty
};

}  // namespace routing
