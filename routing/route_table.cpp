#include "routing/route_table.hpp"

#include <algorithm>
#include <tuple>

#include "routing/pattern.hpp"

#include "routing/ascii.hpp"

namespace routing {
namespace {

// What sessions of a read-only tenant start with.
constexpr std::string_view read_only_setting = "default_transaction_read_only";

// An entry whose database shares what it has with nobody is told by a count of one; those that stand for any number of
// tenants count as two.
constexpr std::size_t many = 2;

// Only as good as is needed to tell most rules apart.
std::size_t hash_of(const rule& one) {
  const std::hash<std::string_view> hash;
  std::size_t sum = one.database ? hash(one.database->name) : 0;
  const auto mix = [&](std::string_view text) { sum = sum * 31 + hash(text); };
  if (one.schema && *one.schema) mix((*one.schema)->text());
  if (one.role && *one.role) mix((*one.role)->text());
  if (one.search_path) std::ranges::for_each(*one.search_path, mix, &name_template::text);
  if (one.settings) std::ranges::for_each(*one.settings, [&](const auto& setting) { mix(setting.second.text()); });
  if (one.users) std::ranges::for_each(*one.users, mix);
  return sum;
}

template <class T>
std::optional<T> either(const std::optional<T>& own, const std::optional<T>& inherited) {
  return own ? own : inherited;
}

limits merged(const limits& own, const limits& inherited) {
  return {.clients = either(own.clients, inherited.clients),
          .connections = either(own.connections, inherited.connections),
          .min_connections = either(own.min_connections, inherited.min_connections),
          .weight = either(own.weight, inherited.weight),
          .queries_per_second = either(own.queries_per_second, inherited.queries_per_second),
          .burst = either(own.burst, inherited.burst),
          .bytes_per_second = either(own.bytes_per_second, inherited.bytes_per_second),
          .query_time = either(own.query_time, inherited.query_time),
          .transaction_time = either(own.transaction_time, inherited.transaction_time),
          .idle_in_transaction = either(own.idle_in_transaction, inherited.idle_in_transaction),
          .wait = either(own.wait, inherited.wait),
          .log_min_duration_statement = either(own.log_min_duration_statement, inherited.log_min_duration_statement)};
}

// Later values take the place of earlier ones of the same name, whatever its case.
void set(setting_list& settings, std::string_view name, std::string value) {
  const auto same = [&](const auto& one) { return same_setting(one.first, name); };
  const auto found = std::ranges::find_if(settings, same);
  if (found == settings.end()) {
    settings.emplace_back(name, std::move(value));
  } else {
    found->second = std::move(value);
  }
}

// The nearest level that says anything of it decides; a schema is followed by public, as applications expect.
std::vector<std::string> search_path_of(const rule& says, const rule& defaults, std::string_view tenant) {
  for (const rule* level : {&says, &defaults}) {
    if (level->search_path) {
      std::vector<std::string> path;
      for (const name_template& schema : *level->search_path) path.push_back(schema.fill(tenant));
      return path;
    }
    if (level->schema) {
      if (!*level->schema) return {};
      return {(*level->schema)->fill(tenant), "public"};
    }
  }
  return {};
}

// PostgreSQL cuts longer names (NAMEDATALEN), by which two tenants could become one. What the table spells out is
// looked at when it is loaded; what a pattern or the defaults make of an id shows only here.
constexpr std::size_t most_name_bytes = 63;

std::optional<refusal> too_long(const route& made) {
  const auto is_long = [](const std::string& name) { return name.size() > most_name_bytes; };
  if (!is_long(made.dbname) && !is_long(made.role) && std::ranges::none_of(made.search_path, is_long)) {
    return std::nullopt;
  }
  return refusal{std::string(invalid_catalog_name),
                 "tenant \"" + made.tenant.str() + "\" has too long an id for its place",
                 "A name made from it would have more than 63 bytes.",
                 {}};
}

std::string how_to_name_a_tenant(const std::vector<hint>& hints) {
  std::string ways;
  for (const hint& one : hints) {
    ways += ways.empty() ? "" : ", or ";
    ways += to_string(one.source);
    ways += one.pattern ? " " + one.pattern->text() : " " + one.name;
  }
  return ways.empty() ? "The routing table has no hints." : "Name it by " + ways + ".";
}

}  // namespace

bool operator==(const rule& a, const rule& b) {
  const auto name = [](const rule& one) { return one.database ? std::string_view(one.database->name) : ""; };
  const auto rest = [](const rule& one) {
    return std::tie(one.schema, one.search_path, one.role, one.settings, one.users, one.guard, one.pool, one.state,
                    one.message, one.limits);
  };
  return name(a) == name(b) && rest(a) == rest(b);
}

route_table::route_table(table_parts parts)
    : parts_(std::move(parts)), later_hints_(std::make_shared<const session_hints>(parts_.hints)) {
  auto entries = std::exchange(parts_.tenants, {});
  tenants_.reserve(entries.size());
  std::unordered_multimap<std::size_t, const rule*> known;
  for (auto& [id, one] : entries) {
    const std::size_t hash = hash_of(one);
    const auto [first, last] = known.equal_range(hash);
    const auto same = std::find_if(first, last, [&](const auto& candidate) { return *candidate.second == one; });
    const rule* kept = same != last ? same->second : &rules_.emplace_back(std::move(one));
    if (same == last) known.emplace(hash, kept);

    const bool is_pattern = id.contains('*');
    const auto& place = kept->database ? kept->database : parts_.defaults.database;
    count(place, is_pattern ? many : 1);
    if (is_pattern) {
      patterns_.emplace_back(std::move(id), kept);
    } else {
      tenants_.emplace(std::move(id), kept);
    }
  }
  count(parts_.defaults.database, many);  // where whoever comes next will live
  count(parts_.no_tenant_route.database, 1);
  std::ranges::sort(patterns_, [](const auto& a, const auto& b) {
    return a.first.size() != b.first.size() ? a.first.size() > b.first.size() : a.first < b.first;
  });
}

std::optional<route_table::decision> route_table::find(std::string_view tenant) const {
  if (const auto own = tenants_.find(tenant); own != tenants_.end()) return decision{own->second, own->first};
  for (const auto& [pattern, says] : patterns_) {
    if (matches_pattern(pattern, tenant)) return decision{says, pattern};
  }
  if (parts_.unknown == unknown_tenants::use_defaults) return decision{&parts_.defaults, {}};
  return std::nullopt;
}

std::expected<route, refusal> route_table::resolve(const identity& who) const {
  if (!who.tenant.empty()) {
    const auto found = find(who.tenant.str());
    if (!found) {
      return std::unexpected(
          refusal{std::string(invalid_catalog_name), "tenant \"" + who.tenant.str() + "\" does not exist", {}, {}});
    }
    route made = build(*found->says, parts_.defaults, who);
    made.named = found->entry == who.tenant.str();
    made.rule = found->entry.empty() ? "defaults" : "tenants." + std::string(found->entry);
    if (auto problem = too_long(made)) return std::unexpected(std::move(*problem));
    return made;
  }
  switch (parts_.no_tenant) {
    case no_tenant_action::route: {
      route made = build(parts_.no_tenant_route, rule{}, who);
      made.rule = "no_tenant";
      return made;
    }
    case no_tenant_action::wait: {
      route made = build(rule{}, rule{.database = parts_.defaults.database}, who);
      made.rule = "no_tenant";
      made.guard = made.waits = true;
      made.pool = pool_mode::transaction;
      // It lives nowhere as yet.
      std::erase_if(made.shared, [](const auto& one) { return one->of == sharer::database; });
      return made;
    }
    case no_tenant_action::reject: break;
  }
  return std::unexpected(refusal{
      std::string(invalid_authorization), "the session names no tenant", {}, how_to_name_a_tenant(parts_.hints)});
}

void route_table::count(const std::shared_ptr<const database>& place, std::size_t entries) {
  if (!place) return;
  residents_of_server_[place->server.get()] += entries;
  if (place->dbname) residents_[{place->server.get(), place->dbname->text()}] += entries;
}

// Two entries may lead to one database; where the client names it, that may be anybody's.
bool route_table::is_shared(const database& place) const {
  const auto several = [](const auto& counts, const auto& of) {
    const auto found = counts.find(of);
    return found != counts.end() && found->second > 1;
  };
  if (!place.dbname) return several(residents_of_server_, place.server.get());
  return !place.dbname->has("tenant") && several(residents_, std::pair(place.server.get(), place.dbname->text()));
}

const database* route_table::guarded_place() const {
  const auto& defaults = parts_.defaults;
  const auto place_of = [&](const rule& says) -> const database* {
    const auto& place = says.database ? says.database : defaults.database;
    const bool guarded = place && is_shared(*place) && either(says.guard, defaults.guard).value_or(true);
    return guarded ? place.get() : nullptr;
  };
  for (const rule& one : rules_) {
    if (const database* found = place_of(one)) return found;
  }
  return nullptr;
}

route route_table::build(const rule& says, const rule& defaults, const identity& who) const {
  const tenant_id& tenant = who.tenant;
  const auto& place = says.database ? says.database : defaults.database;
  route made;
  made.tenant = tenant;
  made.database = place->name;
  made.server = place->server;
  if (place->dbname) made.dbname = place->dbname->fill(tenant.str());
  made.search_path = search_path_of(says, defaults, tenant.str());
  if (const auto role = either(says.role, defaults.role); role && *role) made.role = (*role)->fill(tenant.str());
  for (const rule* level : {&defaults, &says}) {
    if (!level->settings) continue;
    for (const auto& [name, value] : *level->settings) set(made.settings, name, value.fill(tenant.str()));
  }
  made.users = either(says.users, defaults.users).value_or(std::vector<std::string>{});
  made.guard = either(says.guard, defaults.guard).value_or(is_shared(*place));
  made.pool = either(says.pool, either(place->mode, defaults.pool)).value_or(pool_mode::transaction);
  made.pool_size = place->pool_size;
  made.refuses_pins = place->refuses_pins;
  made.shares_within_tenant = place->shares_within_tenant;
  made.prepare = place->prepare;
  made.state = either(says.state, defaults.state).value_or(tenant_state::active);
  if (made.state == tenant_state::read_only) set(made.settings, read_only_setting, "on");
  made.message = either(says.message, defaults.message).value_or("");
  made.limits = merged(says.limits, defaults.limits);
  if (const auto role = parts_.roles.find(who.user); role != parts_.roles.end()) made.shared.push_back(role->second);
  if (place->limits) made.shared.push_back(place->limits);
  return made;
}

}  // namespace routing
