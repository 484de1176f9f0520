#include "routing/tenant_hint.hpp"

#include <algorithm>
#include <array>

#include "routing/ascii.hpp"
#include "routing/session_hints.hpp"

namespace routing {
namespace {

// One source's word on who the tenant is.
struct testimony {
  tenant_id tenant;
  std::string hint;
};

class witness_stand {
 public:
  witness_stand(const std::vector<hint>& hints, const session_facts& facts) : hints_(hints), facts_(facts) {
    who_.user = facts.user;
    who_.database = facts.database;
  }

  // False: a refusal has been found.
  bool hear(const hint& one) {
    switch (one.source) {
      case hint_source::startup: return hear_startup(one);
      case hint_source::user: return hear_user(one);
      case hint_source::database: return hear_database(one);
      case hint_source::sni: return hear_server_name(one);
      case hint_source::certificate: return hear_certificate(one);
      case hint_source::variable: return hear_beginning(one, one.name);
      case hint_source::search_path: return hear_beginning(one, "search_path");
    }
    return true;
  }

  std::expected<identity, refusal> verdict() && {
    if (refusal_) return std::unexpected(std::move(*refusal_));
    return std::move(who_);
  }

 private:
  bool hear_startup(const hint& one) {
    for (const auto& [name, value] : facts_.settings) {
      if (!same_setting(name, one.name)) continue;
      if (!believe_all_of(value, "the value of \"" + one.name + "\"", one)) return false;
      if (std::ranges::find(who_.consumed, name) == who_.consumed.end()) who_.consumed.push_back(name);
    }
    return true;
  }

  bool hear_user(const hint& one) {
    if (user_heard_) return true;
    const auto found = one.pattern->match(facts_.user);
    if (!found) return true;
    const auto tenant = tenant_id::parse(captured(*found, "tenant"));
    if (!tenant) return true;
    user_heard_ = true;
    if (one.pattern->has("role")) who_.user = captured(*found, "role");
    who_.fixed = true;
    return believe({*tenant, describe(one)});
  }

  bool hear_database(const hint& one) {
    // Who names no database asks for the one named like the user (PostgreSQL docs, 55.7, StartupMessage); that name is
    // the user hint's business.
    if (database_heard_ || !facts_.database) return true;
    const auto found = one.pattern->match(*facts_.database);
    if (!found) return true;
    const auto tenant = tenant_id::parse(captured(*found, "tenant"));
    if (!tenant) return true;
    database_heard_ = true;
    if (one.pattern->has("dbname")) who_.database = captured(*found, "dbname");
    return believe({*tenant, describe(one)});
  }

  bool hear_server_name(const hint& one) {
    if (server_name_heard_) return true;
    std::string name(facts_.server_name);
    std::ranges::transform(name, name.begin(), ascii_lower);  // host names have no case
    const auto found = one.pattern->match(name);
    if (!found) return true;
    const auto tenant = tenant_id::parse(captured(*found, "tenant"));
    if (!tenant) return true;
    server_name_heard_ = true;
    who_.fixed = true;
    return believe({*tenant, describe(one)});
  }

  bool hear_certificate(const hint& one) {
    who_.fixed = who_.fixed || !facts_.common_name.empty() || !facts_.alternative_names.empty();
    if (one.name == "cn") {
      return facts_.common_name.empty() || believe_all_of(facts_.common_name, "the certificate's common name", one);
    }
    return std::ranges::all_of(facts_.alternative_names, [&](const std::string& name) {
      return believe_all_of(name, "an alternative name of the certificate", one);
    });
  }

  // What the running session could say, and has begun with: or its setting would be one tenant's, and its place
  // another's.
  bool hear_beginning(const hint& one, std::string_view setting) {
    for (const auto& [name, value] : facts_.settings) {
      if (!same_setting(name, setting)) continue;
      const session_hints all(hints_);
      auto named = all.named_by(name, {value});
      if (!named) {
        refusal_ = std::move(named.error());
        return false;
      }
      if (!named->empty() && !believe({std::move(*named), describe(one)})) return false;
    }
    return true;
  }

  // A value that is an id from its first to its last character.
  bool believe_all_of(std::string_view value, const std::string& whose, const hint& one) {
    auto tenant = tenant_id::parse(value);
    if (tenant) return believe({std::move(*tenant), describe(one)});
    return refuse(invalid_catalog_name, whose + " is not a valid tenant id", {},
                  "Ids match [A-Za-z0-9_][A-Za-z0-9_.-]{0,62}.");
  }

  static std::string_view captured(const name_template::captures& found, std::string_view variable) {
    const auto one = std::ranges::find(found, variable, &name_template::captures::value_type::first);
    return one == found.end() ? std::string_view() : one->second;
  }

  static std::string describe(const hint& one) {
    std::string text(to_string(one.source));
    return one.pattern ? text + " \"" + one.pattern->text() + "\"" : text + " " + one.name;
  }

  bool believe(testimony said) {
    if (who_.tenant.empty()) {
      who_.tenant = std::move(said.tenant);
      who_.hint = std::move(said.hint);
      return true;
    }
    if (who_.tenant == said.tenant) return true;
    return refuse(
        invalid_authorization, "the session names two different tenants",
        who_.hint + " says \"" + who_.tenant.str() + "\", " + said.hint + " says \"" + said.tenant.str() + "\".",
        "Name the tenant in one place, or the same one in both.");
  }

  bool refuse(std::string_view sqlstate, std::string message, std::string detail, std::string advice) {
    refusal_ = refusal{std::string(sqlstate), std::move(message), std::move(detail), std::move(advice)};
    return false;
  }

  const std::vector<hint>& hints_;
  const session_facts& facts_;
  identity who_;
  std::optional<refusal> refusal_;
  bool user_heard_ = false;
  bool database_heard_ = false;
  bool server_name_heard_ = false;
};

}  // namespace

std::string_view to_string(hint_source source) {
  constexpr std::array<std::string_view, 7> names{"startup",     "user",     "database",   "sni",
                                                  "certificate", "variable", "search_path"};
  return names.at(static_cast<std::size_t>(source));
}

std::expected<identity, refusal> identify(const std::vector<hint>& hints, const session_facts& facts) {
  witness_stand stand(hints, facts);
  for (const hint& one : hints) {
    if (!stand.hear(one)) break;
  }
  return std::move(stand).verdict();
}

}  // namespace routing
