#include "routing/access.hpp"

#include <algorithm>

namespace routing {
std::optional<refusal> may_enter(const route& where, std::string_view role) {
  // Who may not enter learns nothing of the tenant's state.
  if (!where.users.empty() && std::ranges::find(where.users, role) == where.users.end()) {
    return refusal{std::string(invalid_authorization),
                   "role \"" + std::string(role) + "\" may not enter " + in_words(where.tenant),
                   {},
                   {}};
  }
  return is_open(where);
}

std::optional<refusal> is_open(const route& where) {
  if (where.state != tenant_state::suspended) return std::nullopt;
  return refusal{std::string(cannot_connect_now),
                 where.message.empty() ? in_words(where.tenant) + " is suspended" : where.message,
                 {},
                 {}};
}

bool knows_the_lodge(const server& which) {
  return !which.user.empty() || (which.tls != tls_mode::disable && !which.tls_certificate.empty());
}

}  // namespace routing
