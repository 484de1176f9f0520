#include "routing/session_state.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <functional>
#include <utility>

#include "routing/ascii.hpp"

namespace routing {
namespace {

constexpr std::string_view role_setting = "role";

auto find_in(const setting_list& sorted, std::string_view name) {
  const auto at = std::ranges::lower_bound(sorted, name, {}, &setting_list::value_type::first);
  return at != sorted.end() && at->first == name ? at : sorted.end();
}

// Sorted by name, of several entries of one name the last. They are few.
setting_list sorted_unique(const setting_list& settings) {
  setting_list sorted;
  for (const auto& [name, value] : settings) {
    const auto at = std::ranges::lower_bound(sorted, name, {}, &setting_list::value_type::first);
    if (at != sorted.end() && at->first == name) {
      at->second = value;
    } else {
      sorted.emplace(at, name, value);
    }
  }
  return sorted;
}

std::string hex_of(std::string_view bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string hex;
  hex.reserve(2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex += digits[byte >> 4];
    hex += digits[byte & 15];
  }
  return hex;
}

std::uint64_t mix(std::uint64_t seed, std::string_view text) {
  // The constant of Fibonacci hashing: 2^64 divided by the golden ratio.
  return (seed ^ std::hash<std::string_view>{}(text)) * 0x9E3779B97F4A7C15U + (seed >> 29);
}

// Whether a timeout is on and under a second; in PostgreSQL's words (19.1.1), milliseconds if it names no unit. A
// fraction counts as short: that costs time, and the other way round might cost an error.
bool is_short(const std::string* timeout) {
  if (timeout == nullptr) return false;
  const std::string_view text = *timeout;
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc()) return true;
  std::string_view unit(end, text.data() + text.size());
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  const bool whole = unit.empty() || unit.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == std::string_view::npos;
  if (whole && number == 0) return false;
  const bool in_seconds_or_more = unit == "s" || unit == "min" || unit == "h" || unit == "d";
  return !in_seconds_or_more && (number < 1000 || !(unit.empty() || unit == "ms"));
}

}  // namespace

std::string quote_identifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted += '"';
}

std::string text_expression(std::string_view text) {
  if (!is_ascii(text)) {
    return "pg_catalog.convert_from(pg_catalog.decode('" + hex_of(text) + "','hex'),pg_catalog.getdatabaseencoding())";
  }
  const bool escaped = text.find('\\') != std::string_view::npos;
  std::string quoted = escaped ? "E'" : "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += c;
    quoted += c;
  }
  return quoted += '\'';
}

std::string search_path_value(const std::vector<std::string>& schemas) {
  std::string value;
  for (const std::string& schema : schemas) value += (value.empty() ? "" : ", ") + quote_identifier(schema);
  return value;
}

setting_list session_defaults(const route& where) {
  setting_list settings;
  if (!where.search_path.empty()) settings.emplace_back("search_path", search_path_value(where.search_path));
  if (!where.role.empty()) settings.emplace_back("role", where.role);
  settings.insert(settings.end(), where.settings.begin(), where.settings.end());
  return settings;
}

session_state::session_state(const setting_list& tenant, const setting_list& own)
    : tenant_(sorted_unique(tenant)), own_(sorted_unique(own)) {
  if (const auto role = find_in(tenant_, role_setting); role != tenant_.end()) {
    role_ = role->second;
    tenant_.erase(role);
  }
  seal();
}

session_state session_state::with(std::string_view name, std::optional<std::string_view> value) const {
  session_state changed = *this;
  const auto at = std::ranges::lower_bound(changed.own_, name, {}, &setting_list::value_type::first);
  const bool there = at != changed.own_.end() && at->first == name;
  if (value && there) {
    at->second = *value;
  } else if (value) {
    changed.own_.emplace(at, name, *value);
  } else if (there) {
    changed.own_.erase(at);
  }
  changed.seal();
  return changed;
}

const std::string* session_state::find(std::string_view name) const {
  if (const auto own = find_in(own_, name); own != own_.end()) return &own->second;
  if (name == role_setting) return role_.empty() ? nullptr : &role_;
  const auto given = find_in(tenant_, name);
  return given != tenant_.end() ? &given->second : nullptr;
}

bool affects_reading(std::string_view setting) {
  // Not bytea_output or extra_float_digits: planning may turn a constant into text.
  static constexpr std::array<std::string_view, 14> harmless{"application_name",
                                                             "client_min_messages",
                                                             "jit",
                                                             "log_min_messages",
                                                             "log_statement",
                                                             "random_page_cost",
                                                             "maintenance_work_mem",
                                                             "seq_page_cost",
                                                             "synchronous_commit",
                                                             "work_mem",
                                                             "temp_buffers",
                                                             "effective_cache_size",
                                                             "hash_mem_multiplier",
                                                             "default_statistics_target"};
  // The settings of applications mean nothing to PostgreSQL.
  if (setting.contains('.') || setting.ends_with("_timeout") || setting.starts_with("enable_")) return false;
  return std::ranges::find(harmless, setting) == harmless.end();
}

void session_state::seal() {
  fingerprint_ = mix(1, role_);
  for (const auto& [name, value] : tenant_) fingerprint_ = mix(mix(fingerprint_, name), value);
  fingerprint_ = mix(fingerprint_, "own");
  for (const auto& [name, value] : own_) fingerprint_ = mix(mix(fingerprint_, name), value);
  if (role_.empty() && tenant_.empty() && own_.empty()) fingerprint_ = 0;
  const std::string* timeout = find("idle_session_timeout");
  ends_when_idle_ = (timeout != nullptr && *timeout != "0") || is_short(find("transaction_timeout"));
  const std::string* deferrable = find("default_transaction_deferrable");
  hampers_ = is_short(find("statement_timeout")) || (deferrable != nullptr && *deferrable != "off");
  reading_fingerprint_ = mix(2, role_);
  for (const auto& [name, value] : tenant_) {
    if (affects_reading(name) && find_in(own_, name) == own_.end()) {
      reading_fingerprint_ = mix(mix(reading_fingerprint_, name), value);
    }
  }
  for (const auto& [name, value] : own_) {
    if (affects_reading(name)) reading_fingerprint_ = mix(mix(reading_fingerprint_, name), value);
  }
}

std::vector<dress_step> difference(const session_state& worn, const session_state& wanted) {
  std::vector<dress_step> steps;
  const bool same_tenant = worn.role() == wanted.role() && worn.tenant() == wanted.tenant();
  const std::string* const worn_role = worn.find(role_setting);
  const std::string* const wanted_role = wanted.find(role_setting);
  // Taking off and the tenant's part need the rights of the role that logged in.
  const bool as_login_role = !same_tenant && worn_role != nullptr;
  if (as_login_role) steps.push_back({std::string(role_setting), "none"});

  const auto take_off = [&](const setting_list& settings) {
    for (const auto& [name, value] : settings) {
      if (name != role_setting && wanted.find(name) == nullptr) steps.push_back({name, std::nullopt});
    }
  };
  take_off(worn.own());
  take_off(worn.tenant());
  const auto put_on = [&](const setting_list& settings, bool tenants) {
    for (const auto& [name, value] : settings) {
      if (name == role_setting) continue;
      if (tenants && find_in(wanted.own(), name) != wanted.own().end()) continue;
      const std::string* before = worn.find(name);
      if (before == nullptr || *before != value) steps.push_back({name, value});
    }
  };
  put_on(wanted.tenant(), true);
  const bool same_role =
      worn_role != nullptr && wanted_role != nullptr ? *worn_role == *wanted_role : worn_role == wanted_role;
  if (as_login_role || !same_role) {
    if (wanted_role != nullptr) {
      steps.push_back({std::string(role_setting), *wanted_role});
    } else if (!as_login_role) {
      steps.push_back({std::string(role_setting), "none"});
    }
  }
  put_on(wanted.own(), false);
  return steps;
}

std::string dress_query(const std::vector<dress_step>& steps) {
  // Both are over with the transaction at the latest, and then comes back what the session itself has set.
  static constexpr std::string_view no_role = "pg_catalog.set_config('role','none',true)";
  static constexpr std::string_view role_before = "pg_catalog.set_config('role',before.role,true)";
  // The OFFSET has it looked up before anything else, not where it is named.
  static constexpr std::string_view before =
      " FROM (SELECT pg_catalog.current_setting('role') AS role OFFSET 0) AS before";
  std::string calls;
  const auto add = [&](std::string_view call) { (calls += calls.empty() ? "" : ",") += call; };
  bool as_login_role = false, keeps_role = false;
  const auto change_to = [&](bool login_role) {
    if (as_login_role == login_role) return;
    add(login_role ? no_role : role_before);
    as_login_role = login_role;
    keeps_role = true;
  };
  for (const dress_step& step : steps) {
    change_to(step.as_login_role);
    add("pg_catalog.set_config(" + text_expression(step.name) + "," +
        (step.value ? text_expression(*step.value) : std::string("NULL")) +
        (step.how_far == reach::session ? ",false)" : ",true)"));
  }
  change_to(false);
  return "SELECT " + calls + std::string(keeps_role ? before : "");
}

}  // namespace routing
