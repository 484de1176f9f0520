#include "proxy/session/ending.hpp"

#include <cstdint>
#include <optional>

#include "protocol/sqlstate.hpp"

namespace proxy {

namespace sqlstate = pgwire::sqlstate;

namespace {

// A message type for people: 'Q', or 0x07 if it is nothing to print.
std::string type_name(char type) {
  const auto byte = static_cast<unsigned char>(type);
  if (byte > 0x20 && byte < 0x7F) return std::string("'") + type + "'";
  constexpr std::string_view digits = "0123456789abcdef";
  return std::string("0x") + digits[byte >> 4] + digits[byte & 15];
}

}  // namespace

ending ending::of(const traffic_fault& fault, std::string_view who) {
  ending made = of(fault.code);
  made.report.code = sqlstate::protocol_violation;
  made.report.detail = std::string(who) + " sent a message of type " + type_name(fault.type) + ".";
  return made;
}

ending ending::moved(const routing::tenant_id& tenant) {
  return fatal(sqlstate::admin_shutdown, routing::in_words(tenant) + " has moved", {},
               "Connect again to reach the new place.");
}

ending ending::lodge_closes() { return fatal(sqlstate::admin_shutdown, "the lodge is closing", {}, "Connect again."); }

ending ending::succeeded() {
  return fatal(sqlstate::admin_shutdown, "another process of pglodge has taken over", {},
               "Connect again: the console is that process's.");
}

ending ending::nameless() {
  return fatal(sqlstate::invalid_authorization, "the session names no tenant", {},
               "One that has a server connection of its own (replication, passthrough) must name it when it begins.");
}

ending ending::held_too_long(const routing::route& where) {
  return fatal(sqlstate::limit_exceeded,
               where.paused ? "database \"" + where.database + "\" is paused, and was not resumed in time"
                            : routing::in_words(where.tenant) + " is held, and was not released in time",
               {}, "Try again later.");
}

ending ending::too_many_clients(const routing::route& where, routing::limit_owner full) {
  const auto* shared = full.shared();
  const std::string who =
      shared != nullptr ? std::string(full.kind()) + " \"" + shared->name + "\"" : routing::in_words(where.tenant);
  const auto& most = shared != nullptr ? shared->limits.clients : where.limits.clients;
  return fatal(sqlstate::too_many_connections, who + " has too many clients already",
               full.path("clients") + " is " + std::to_string(most.value_or(0)) + ".",
               "Close sessions that are not needed, or raise the limit.");
}

ending ending::disabled(const std::string& database) {
  return fatal(sqlstate::cannot_connect_now, "database \"" + database + "\" is disabled", {},
               "An administrator has done so; ENABLE at the console of pglodge ends it.");
}

ending ending::out_of_reach(const std::string& server, std::string why) {
  return fatal(sqlstate::connection_unestablished, "no primary of server \"" + server + "\" could be reached",
               std::move(why));
}

ending ending::cancelled() {
  return fatal(sqlstate::query_canceled, "canceling statement due to user request").as_error();
}

ending ending::none_free(const routing::route& where, bound by) {
  const std::string server = "server \"" + where.server->name + "\"";
  const std::string entry = "database entry \"" + where.database + "\"";
  const auto made = [](std::string detail, std::string hint) {
    return fatal(sqlstate::limit_exceeded, "no server connection became free in time", std::move(detail),
                 std::move(hint));
  };
  // By a reload the route may say less than what the pool was told.
  const auto is = [](std::string_view what, const std::optional<std::uint32_t>& most) {
    return std::string(what) + (most ? " is " + std::to_string(*most) : " is reached") + ".";
  };
  switch (by) {
    case bound::tenant:
      return made("All connections that " + routing::in_words(where.tenant) +
                      " may have are in use: " + is("limits.connections", where.limits.connections),
                  "Raise the tenant's limits.connections, or try again later.");
    case bound::place:
      return made("All connections of " + entry + " of " + server + " are in use: " + is("pool.size", where.pool_size),
                  "Raise the pool.size of that entry, or try again later.");
    case bound::server:
      return made(
          "All connections to " + server + " are in use: " + is("max_connections", where.server->max_connections),
          "Raise the max_connections of that server, or try again later.");
    case bound::minimum:
      return made("What is free of " + server + " is kept for tenants with limits.min_connections: " +
                      is("max_connections", where.server->max_connections),
                  "Raise the max_connections of that server, lower their limits.min_connections, or try again later.");
    case bound::none: break;
  }
  return made("No connection to " + server + " is there yet for " + entry + ".", "Try again later.");
}

}  // namespace proxy
