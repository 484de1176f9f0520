#include "routing/session_hints.hpp"

#include <algorithm>
#include <utility>

#include "routing/ascii.hpp"
#include "routing/search_path.hpp"

namespace routing {

session_hints::session_hints(const std::vector<hint>& hints) {
  for (const hint& one : hints) {
    if (one.source != hint_source::variable && one.source != hint_source::search_path) continue;
    std::string setting = one.source == hint_source::variable ? one.name : "search_path";
    std::ranges::transform(setting, setting.begin(), ascii_lower);
    auto known = std::ranges::find(hints_, setting, &spoken::setting);
    if (known == hints_.end()) known = hints_.insert(hints_.end(), spoken{setting, {}});
    if (one.pattern) known->schemas.push_back(*one.pattern);
  }
}

const session_hints::spoken* session_hints::find(std::string_view setting) const {
  const auto found = std::ranges::find(hints_, setting, &spoken::setting);
  return found != hints_.end() ? &*found : nullptr;
}

bool session_hints::concerns(std::string_view setting) const { return find(setting) != nullptr; }

std::expected<tenant_id, refusal> session_hints::named_by(std::string_view setting,
                                                          const std::vector<std::string>& items) const {
  const spoken* const by = find(setting);
  if (by == nullptr || items.empty()) return tenant_id();
  if (by->schemas.empty()) {
    if (items.size() == 1 && items.front().empty()) return tenant_id();
    auto tenant = items.size() == 1 ? tenant_id::parse(items.front()) : std::nullopt;
    if (tenant) return std::move(*tenant);
    return std::unexpected(refusal{std::string(invalid_catalog_name),
                                   "the value of \"" + std::string(setting) + "\" is not a valid tenant id",
                                   {},
                                   "Ids match [A-Za-z0-9_][A-Za-z0-9_.-]{0,62}."});
  }
  std::vector<std::string> schemas = items;
  if (items.size() == 1) {
    auto split = split_search_path(items.front());
    if (split) schemas.insert(schemas.end(), split->begin(), split->end());
  }
  for (const std::string& schema : schemas) {
    for (const name_template& pattern : by->schemas) {
      const auto found = pattern.match(schema);
      if (!found) continue;
      const auto id = std::ranges::find(*found, "tenant", &name_template::captures::value_type::first);
      if (id == found->end()) continue;
      if (auto tenant = tenant_id::parse(id->second)) return std::move(*tenant);
    }
  }
  return tenant_id();
}

}  // namespace routing
