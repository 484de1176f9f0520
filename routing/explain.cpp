#include "routing/explain.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "routing/access.hpp"
#include "routing/session_state.hpp"

namespace routing {
namespace {

class lines {
 public:
  void add(std::string_view name, std::string_view value) { made_.emplace_back(name, value); }
  void add_if_any(std::string_view name, std::string_view value) {
    if (!value.empty()) add(name, value);
  }
  explanation take(bool admitted) { return {admitted, std::move(made_)}; }

 private:
  std::vector<std::pair<std::string, std::string>> made_;
};

std::string joined(const auto& list, auto text_of) {
  std::string all;
  for (const auto& one : list) all += (all.empty() ? "" : ", ") + text_of(one);
  return all;
}

void add_refusal(lines& out, const refusal& why) {
  out.add("refused", why.sqlstate + " " + why.message);
  out.add_if_any("detail", why.detail);
  out.add_if_any("hint", why.hint);
}

std::string pool_of(const route& where, who_checks checks) {
  std::string text(to_string(where.pool));
  if (checks == who_checks::server) text = "a connection of its own (passthrough)";
  if (checks == who_checks::either) text += "; a connection of its own for whoever comes by passthrough";
  return text;
}

std::string_view guard_of(const route& where, who_checks checks) {
  if (!where.guard) return "off";
  if (where.pool == pool_mode::session || checks == who_checks::server) {
    return "on, but nobody watches connections that clients have for their own";
  }
  return checks == who_checks::either ? "on, but nobody watches who comes by passthrough" : "on";
}

void add_place(lines& out, const identity& who, const route& where, who_checks checks) {
  out.add("rule", where.rule);
  out.add("state", to_string(where.state));
  out.add("server", where.server->name + ", tried in this order: " + joined(where.server->hosts, [](const host& one) {
                      return to_string(one);
                    }));
  const std::string dbname = !where.dbname.empty() ? where.dbname : who.database.value_or("the client's own");
  out.add("database", where.database + ", dbname " + dbname);
  out.add("logs in as", !where.server->user.empty() ? where.server->user
                        : who.user.empty()          ? "the client's role"
                                                    : who.user);
  // A session never has the rights of whoever logs in for everybody.
  if (!where.server->user.empty() && where.role.empty()) {
    out.add("role", who.user.empty() ? "the client's role" : who.user);
  }
  for (const auto& [name, value] : session_defaults(where)) out.add(name, value);
  out.add_if_any("users", joined(where.users, [](const std::string& one) { return one; }));
  out.add("pool", pool_of(where, checks));
  out.add("guard", guard_of(where, checks));
}

// What the tenant's state means for a session that may come in.
std::string_view verdict(tenant_state state) {
  switch (state) {
    case tenant_state::held: return "waits until the tenant is released, at most limits.wait";
    case tenant_state::read_only: return "yes, transactions are read-only unless the session says otherwise";
    case tenant_state::active:
    case tenant_state::suspended: break;
  }
  return "yes";
}

explanation explain(const route_table& table, const overrides& over, who_checks checks, const identity& who,
                    bool with_role, lines out) {
  auto where = table.resolve(who);
  if (!where) {
    add_refusal(out, where.error());
    return out.take(false);
  }
  over.apply(*where);
  add_place(out, who, *where, checks);
  const auto refused = with_role ? may_enter(*where, who.user) : is_open(*where);
  if (!refused && where->waits) {
    out.add("admitted", "yes, to name its tenant before it may do anything else");
  } else if (refused) {
    add_refusal(out, *refused);
  } else {
    out.add("admitted", verdict(where->state));
  }
  return out.take(!refused);
}

}  // namespace

std::string explanation::text() const {
  constexpr std::size_t column = 13;
  std::string all;
  for (const auto& [name, value] : lines) {
    all += name + ":";
    all.append(name.size() < column ? column - name.size() : 1, ' ');
    all += value + "\n";
  }
  return all;
}

explanation explain(const route_table& table, const session_facts& facts, const overrides& over, who_checks checks) {
  lines out;
  const auto who = identify(table.hints(), facts);
  if (!who) {
    add_refusal(out, who.error());
    return out.take(false);
  }
  out.add("tenant", who->tenant.empty() ? "none" : who->tenant.str());
  out.add("hint", who->hint.empty() ? "none matched" : who->hint);
  out.add("user", who->user);
  return explain(table, over, checks, *who, true, std::move(out));
}

explanation explain(const route_table& table, const tenant_id& tenant, const overrides& over, who_checks checks) {
  identity who;
  who.tenant = tenant;
  lines out;
  out.add("tenant", tenant.str());
  return explain(table, over, checks, who, false, std::move(out));
}

}  // namespace routing
