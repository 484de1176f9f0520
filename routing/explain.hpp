// Which hint matched, which rule decided, where it goes: what `pglodge route` prints.
#pragma once

#include <cstdint>
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

/// Who finds out who a client is. Sessions that the server lets in (passthrough) share no connection, and the guard
/// does not watch them, whatever their route says.
enum class who_checks : std::uint8_t {
  lodge,
  server,
  either,  ///< which of them, depends on the session
};

/// `over`: what is laid over the table.
explanation explain(const route_table& table, const session_facts& facts, const overrides& over = {},
                    who_checks checks = who_checks::lodge);
/// For a bare tenant id: no hint and no role is considered.
explanation explain(const route_table& table, const tenant_id& tenant, const overrides& over = {},
                    who_checks checks = who_checks::lodge);

}  // namespace routing
