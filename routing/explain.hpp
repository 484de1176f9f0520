// Which hint matched, which rule decided, where it goes: what `pglodge route` prints.
#pragma once

#include <string>

#include "routing/route_table.hpp"

namespace routing {

struct explanation {
  bool admitted = false;  ///< whether such a session would be let through now
  std::string text;       ///< lines "name: value", ending in a newline
};

explanation explain(const route_table& table, const session_facts& facts);
/// For a bare tenant id: no hint and no role is considered.
explanation explain(const route_table& table, const tenant_id& tenant);

}  // namespace routing
