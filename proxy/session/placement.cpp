#include "proxy/session/placement.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "routing/session_state.hpp"

namespace proxy {
namespace {

// Startup parameters that are no settings (PostgreSQL docs, 55.7, StartupMessage).
bool is_setting(std::string_view name) {
  return name != "user" && name != "database" && name != "options" && name != "replication";
}

// Which of the client's settings must not reach the server.
class collision {
 public:
  collision(const routing::identity& who, const routing::route& where) : who_(who) {
    for (const auto& [name, value] : tenant_settings(who, where)) {
      decided_.push_back(pgwire::canonical_setting_name(name));
    }
    has_role_ = std::ranges::find(decided_, "role") != decided_.end();
  }

  bool operator()(std::string_view name) const {
    const std::string canonical = pgwire::canonical_setting_name(name);
    if (std::ranges::find(decided_, canonical) != decided_.end()) return true;
    if (has_role_ && canonical == "session_authorization") return true;
    // A name with a dot is a setting to PostgreSQL, whoever invented it; row-level security may read it.
    const bool is_hint = std::ranges::find(who_.consumed, canonical) != who_.consumed.end();
    return is_hint && !canonical.contains('.') && canonical != "application_name";
  }

 private:
  const routing::identity& who_;
  bool has_role_ = false;
  std::vector<std::string> decided_;
};

}  // namespace

pgwire::result<session_request> session_request::read(pgwire::startup_message startup) {
  session_request request{std::move(startup), {}};
  if (const std::string* text = request.startup.find("options")) {
    auto options = pgwire::parse_options(*text);
    if (!options) return std::unexpected(options.error());
    request.options = std::move(*options);
  }
  return request;
}

routing::session_facts session_request::facts() const {
  routing::session_facts facts;
  for (const auto& [name, value] : options.settings) {
    facts.settings.emplace_back(pgwire::canonical_setting_name(name), value);
  }
  for (const auto& [name, value] : startup.parameters) {
    if (name == "user") {
      facts.user = value;
    } else if (name == "database") {
      if (!value.empty()) facts.database = value;
    } else if (is_setting(name)) {
      facts.settings.emplace_back(pgwire::canonical_setting_name(name), value);
    }
  }
  return facts;
}

routing::setting_list tenant_settings(const routing::identity& who, const routing::route& where) {
  routing::setting_list settings = routing::session_defaults(where);
  // Who logs in for everybody is nobody: what a session may do is what its role may.
  if (!where.server->user.empty() && where.role.empty()) settings.emplace_back("role", who.user);
  return settings;
}

routing::setting_list own_settings(const session_request& client, const routing::identity& who,
                                   const routing::route& where) {
  const collision collides(who, where);
  routing::setting_list own;
  const auto take = [&](const pgwire::parameter& given) {
    if (!collides(given.first)) own.emplace_back(pgwire::canonical_setting_name(given.first), given.second);
  };
  for (const pgwire::parameter& given : client.options.settings) take(given);
  for (const pgwire::parameter& given : client.startup.parameters) {
    if (is_setting(given.first)) take(given);
  }
  return own;
}

pool_key pool_key_of(const routing::identity& who, const routing::route& where) {
  const std::string& user = where.server->user.empty() ? who.user : where.server->user;
  // A server takes the user's name for a database that was not named (PostgreSQL docs, 55.7, StartupMessage).
  const std::string& dbname = !where.dbname.empty() ? where.dbname : who.database ? *who.database : user;
  return {dbname, user, {}, where.shares_within_tenant ? where.tenant.str() : std::string()};
}

connection_wish wish_for(unsigned worker, const routing::identity& who, const routing::route& where) {
  connection_wish made;
  made.key = pool_key_of(who, where);
  made.place = where.database;
  made.place_size = where.pool_size;
  made.tenant = where.tenant.str();
  made.tenant_connections = where.limits.connections;
  made.tenant_minimum = where.limits.min_connections.value_or(0);
  made.weight = where.limits.weight.value_or(1);
  made.worker = worker;
  return made;
}

pgwire::parameter_list server_parameters(const session_request& client, const routing::identity& who,
                                         const routing::route& where) {
  const routing::setting_list tenant = tenant_settings(who, where);
  const collision collides(who, where);

  const bool by_pool_user = !where.server->user.empty();
  pgwire::parameter_list result{{"user", by_pool_user ? where.server->user : who.user}};
  if (!where.dbname.empty()) {
    result.emplace_back("database", where.dbname);
  } else if (who.database) {
    result.emplace_back("database", *who.database);
  }
  pgwire::startup_options options;
  options.other = client.options.other;
  std::ranges::copy_if(client.options.settings, std::back_inserter(options.settings),
                       [&](const pgwire::parameter& setting) { return !collides(setting.first); });
  if (std::string text = pgwire::encode_options(options); !text.empty()) {
    result.emplace_back("options", std::move(text));
  }
  for (const pgwire::parameter& given : client.startup.parameters) {
    const bool kept = given.first == "replication" || (is_setting(given.first) && !collides(given.first));
    if (kept) result.push_back(given);
  }
  result.insert(result.end(), tenant.begin(), tenant.end());
  return result;
}

}  // namespace proxy
