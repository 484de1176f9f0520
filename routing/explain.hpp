// Which hint matched, which rule decided, where it goes: what `pglodge route` prints.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "routing/overrides.hpp"
#include "routing/route_table.hpp"

namespace routing {

struct explanation {
  bool admitted = false;                                   ///< whether such a session would be let through now
  std::vector<std::pair<std::string, std::string>> lines;  ///< name and value
  /// As "name: value", each with a newline.
  [[nodiscard]] std::string text() const;
};

/// `over`: what is laid over the table.
explanation explain(const route_table& table, const session_facts& facts, const overrides& over = {});
/// For a bare tenant id: no hint and no role is considered.
explanation explain(const route_table& table, const tenant_id& tenant, const overrides& over = {});

}  // namespace routing
