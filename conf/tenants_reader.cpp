#include "conf/tenants_reader.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "conf/limits_reader.hpp"
#include "conf/names.hpp"
#include "conf/values.hpp"
#include "conf/words.hpp"
#include "routing/ascii.hpp"
#include "routing/ids.hpp"

namespace conf {
namespace {

using routing::name_template;
using routing::rule;

// Settings that have keys of their own, where what they mean together is checked.
std::string_view own_key_of(std::string_view setting) {
  if (same_setting(setting, "search_path")) return "write the key search_path or schema beside settings";
  if (same_setting(setting, "role")) return "write the key role beside settings";
  if (same_setting(setting, "session_authorization")) return "write the role that statements run as under the key role";
  return {};
}

// "trial-*": any number of '*', all else as in ids.
bool is_pattern(std::string_view text) {
  if (!text.contains('*')) return false;
  std::string without_stars(text);
  std::erase(without_stars, '*');
  // The rule for an id's first character does not hold for what comes after a star.
  if (text.starts_with('*')) without_stars.insert(0, "_");
  return text.size() <= longest_identifier && routing::tenant_id::parse(without_stars).has_value();
}

// PostgreSQL reads "$user" in a search_path as the session's user, even in quotes.
bool may_be_user(const name_template& name) {
  constexpr std::string_view user = "$user";
  if (std::ranges::equal(name.text(), user, {}, routing::ascii_lower)) return true;
  const auto captured = name.match(user);
  const auto is_id = [](const auto& one) { return routing::tenant_id::parse(one.second).has_value(); };
  return captured && std::ranges::all_of(*captured, is_id);
}

}  // namespace

std::optional<name_template> rule_reader::read_own_template(const yaml_value& value) const {
  return whose_ == whose::tenants ? read_template(value, {"tenant"}) : read_template(value, {});
}

std::optional<name_template> rule_reader::read_schema(const yaml_value& value) const {
  auto name = read_own_template(value);
  if (name && may_be_user(*name)) {
    value.error(
        in_quotes(name->text()) +
        " could mean the schema of whoever logs in, so that tenants would share it; write the schema's own name");
    return std::nullopt;
  }
  return name;
}

std::optional<std::vector<name_template>> rule_reader::read_search_path(const yaml_value& list) const {
  std::vector<name_template> path;
  if (list.is_null()) return path;
  if (!list.is_list()) return std::nullopt;
  if (list.size() == 0)
    list.error("an empty list; write at least one schema, or null for the server's own search_path");
  list.for_each([&](const yaml_value& item) {
    if (auto name = read_schema(item)) path.push_back(std::move(*name));
  });
  return path;
}

std::vector<std::pair<std::string, name_template>> rule_reader::read_settings(const yaml_value& section) const {
  std::vector<std::pair<std::string, name_template>> settings;
  if (!section.is_mapping_of_names("{ app.tenant: \"{tenant}\" }")) return settings;
  section.for_each([&](const yaml_value& entry) {
    const std::string_view name = entry.name();
    if (const auto problem = setting_name_problem(name)) return entry.error_at_key(*problem);
    if (const auto instead = own_key_of(name); !instead.empty()) {
      return entry.error_at_key("cannot be set here; " + std::string(instead));
    }
    const auto same = [&](const auto& other) { return same_setting(other.first, name); };
    if (std::ranges::any_of(settings, same))
      return entry.error_at_key("names the same setting as a key above; keep one of them");
    auto value = whose_ == whose::tenants ? read_setting_value(entry, {"tenant"}) : read_setting_value(entry, {});
    if (value) settings.emplace_back(name, std::move(*value));
  });
  return settings;
}

void rule_reader::read_place(const yaml_value& entry, rule& into) const {
  if (const auto database = entry.find("database")) {
    into.database = places_.find_database(*database);
    if (whose_ == whose::no_tenant && into.database && into.database->dbname && into.database->dbname->has("tenant")) {
      database->error("the dbname of " + in_quotes(into.database->name) +
                      " speaks of {tenant}, and these sessions name none; write another database");
    }
  }
  const auto schema = entry.find("schema");
  const auto search_path = entry.find("search_path");
  if (schema) {
    if (schema->is_null()) {
      into.schema.emplace(std::nullopt);
    } else {
      into.schema = read_schema(*schema);
    }
  }
  if (search_path) into.search_path = read_search_path(*search_path);
  if (schema && !schema->is_null() && search_path && !search_path->is_null()) {
    search_path->error_at_key(
        "schema and search_path exclude each other; write the whole search_path, or the schema alone");
  }
  if (const auto role = entry.find("role")) {
    if (role->is_null()) {
      into.role.emplace(std::nullopt);
    } else {
      into.role = read_own_template(*role);
    }
  }
  if (const auto settings = entry.find("settings")) into.settings = read_settings(*settings);
}

void rule_reader::read_access(const yaml_value& entry, rule& into) {
  if (const auto users = entry.find("users")) {
    if (users->is_null()) {
      into.users.emplace();
    } else {
      into.users = read_names(*users, "null for everybody");
    }
  }
  if (const auto guard = entry.find("guard")) into.guard = guard->on_off();
  if (const auto pool = entry.find("pool")) into.pool = read_pool_mode(*pool);
  using enum routing::tenant_state;
  const auto state = entry.find("state");
  if (state) {
    into.state = state->choice<routing::tenant_state>(
        {{"active", active}, {"read_only", read_only}, {"held", held}, {"suspended", suspended}});
  }
  if (const auto message = entry.find("message")) {
    if (const auto text = message->text()) into.message = std::string(*text);
    if (into.state && *into.state != suspended) {
      message->error_at_key("is only told while the state is suspended; remove it, or write state: suspended");
    }
  }
}

rule rule_reader::read(const yaml_value& entry) const {
  rule made;
  if (!entry.is_mapping()) return made;
  read_place(entry, made);
  read_access(entry, made);
  if (const auto limits = entry.find("limits")) made.limits = read_limits(*limits);
  return made;
}

void tenants_reader::read(const yaml_value& section) {
  if (!section.is_mapping_of_names("acme: { database: acme }")) return;
  tenants_.reserve(tenants_.size() + section.size());
  section.for_each([&](const yaml_value& entry) { read_tenant(entry); });
}

void tenants_reader::read_tenant(const yaml_value& entry) {
  const std::string_view id = entry.name();
  if (!routing::tenant_id::parse(id) && !is_pattern(id)) {
    return entry.error_at_key("not a tenant's id; ids match [A-Za-z0-9_][A-Za-z0-9_.-]{0,62}, patterns have a *");
  }
  if (!names_.add(entry)) return;
  const std::size_t errors_before = entry.source().out->error_count();
  rule own;
  if (!entry.is_null()) own = rules_.read(entry);
  if (entry.source().out->error_count() == errors_before) {
    if (!own.database && default_database_ == default_database::missing) {
      entry.error_at_key("has no database; write one here, or defaults.database for all");
    }
    check_lengths(entry, own);
  }
  tenants_.emplace_back(id, std::move(own));
}

// PostgreSQL cuts long names, and two tenants' cut names may be one. Of a pattern's tenants only the session knows.
void tenants_reader::check_lengths(const yaml_value& entry, const rule& own) const {
  const std::string_view id = entry.name();
  if (id.contains('*')) return;
  const auto check = [&](std::string_view key, const name_template& name) {
    // Cheap for most: no template doubles its text by more than the id.
    if (name.text().size() + id.size() <= longest_identifier) return;
    const std::string filled = name.fill(id);
    if (filled.size() <= longest_identifier) return;
    entry.error_at_key("its " + std::string(key) + " would be " + in_quotes(filled) + ", " +
                       std::to_string(filled.size()) + " bytes; PostgreSQL's names have at most " +
                       std::to_string(longest_identifier));
  };
  const auto& place = own.database ? own.database : defaults_.database;
  if (place && place->dbname) check("dbname", *place->dbname);
  const auto& role = own.role ? own.role : defaults_.role;
  if (role && *role) check("role", **role);
  for (const rule* level : {&own, &defaults_}) {
    if (level->search_path)
      std::ranges::for_each(*level->search_path, [&](const auto& name) { check("search_path", name); });
    if (!level->search_path && level->schema && *level->schema) check("schema", **level->schema);
    if (level->search_path || level->schema) break;
  }
}

}  // namespace conf
