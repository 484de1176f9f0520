#include "proxy/console/privilege.hpp"

#include <algorithm>

#include "protocol/sqlstate.hpp"
#include "proxy/console/lexer.hpp"

namespace proxy::console {

namespace sqlstate = pgwire::sqlstate;

std::optional<privilege> privilege_of(const conf::admin_settings& admin, const std::string& user) {
  const auto has = [&](const auto& list) { return std::ranges::find(list, user) != list.end(); };
  if (has(admin.users)) return privilege::everything;
  if (has(admin.stats_users)) return privilege::looking;
  return std::nullopt;
}

std::optional<pgwire::error_report> why_not(privilege may, const std::string& user, const command& asked) {
  if (may == privilege::everything || only_looks(asked)) return std::nullopt;
  return refusal(sqlstate::insufficient_privilege,
                 "user \"" + user + "\" may only look: " + std::string(name_of(asked.what)) + " changes something",
                 "admin.users may do this; this user is one of admin.stats_users.");
}

pgwire::error_report no_business(const std::string& user) {
  return {"FATAL",
          std::string(sqlstate::invalid_authorization),
          "user \"" + user + "\" may not use the console of pglodge",
          {},
          "admin.users and admin.stats_users of pglodge.yaml say who may."};
}

pgwire::error_report nobody_to_ask() {
  return {"FATAL",
          std::string(sqlstate::invalid_authorization),
          "the console of pglodge cannot authenticate by passthrough",
          {},
          "Give it a method by a rule, { database: pglodge, method: scram-sha-256 }, and auth.users."};
}

}  // namespace proxy::console
