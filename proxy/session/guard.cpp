#include "proxy/session/guard.hpp"

#include <algorithm>
#include <utility>

#include "protocol/sqlstate.hpp"
#include "protocol/startup_options.hpp"
#include "routing/search_path.hpp"

namespace proxy {
session_guard::session_guard(const routing::route& where) {
  if (!where.guard) return;
  auto made = std::make_shared<rules>();
  made->tenant = where.tenant.str();
  made->schemas = where.search_path;
  for (const auto& [name, value] : where.settings) {
    made->settings.emplace_back(pgwire::canonical_setting_name(name), value);
  }
  rules_ = std::move(made);
}

pgwire::error_report session_guard::unreadable() {
  return {"ERROR", std::string(pgwire::sqlstate::insufficient_privilege),
          "the guard cannot read this statement, and lets nothing pass that it cannot read",
          "It has a syntax error, is longer or deeper than is read, or computes the name of what it sets.",
          "A route with \"guard: off\" allows it."};
}

std::optional<pgwire::error_report> session_guard::refuses(
    std::string_view setting, const std::vector<std::optional<std::string>>& values) const {
  if (!rules_ || values.empty()) return std::nullopt;
  const bool identity = setting == "role" || setting == "session_authorization";
  const auto own = std::ranges::find(rules_->settings, setting, &routing::setting_list::value_type::first);
  const bool is_own = own != rules_->settings.end();
  const bool path = setting == "search_path" && !rules_->schemas.empty();
  if (!identity && !is_own && !path) return std::nullopt;
  if (is_own && values.size() == 1 && values.front() == own->second) return std::nullopt;

  const auto is_own_schema = [&](const std::string& name) {
    return name == "pg_catalog" || std::ranges::find(rules_->schemas, name) != rules_->schemas.end();
  };
  if (path) {
    // SET gives names one by one, set_config() one text that holds them all: either reading must stay inside.
    const bool inside = std::ranges::all_of(values, [&](const auto& value) {
      if (!value) return false;
      if (is_own_schema(*value)) return true;
      const auto names = routing::split_search_path(*value);
      return values.size() == 1 && names && std::ranges::all_of(*names, is_own_schema);
    });
    if (inside) return std::nullopt;
  }
  pgwire::error_report why{"ERROR",
                           std::string(pgwire::sqlstate::insufficient_privilege),
                           "permission denied to set \"" + std::string(setting) + "\"",
                           "The route of tenant \"" + rules_->tenant + "\" decides it.",
                           {}};
  why.hint = path
                 ? "Only a selection of the tenant's own schemas may be set. A route with \"guard: off\" allows others."
                 : "A route with \"guard: off\" allows it.";
  return why;
}

}  // namespace proxy
