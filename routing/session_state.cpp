#include "routing/session_state.hpp"

namespace routing {

std::string quote_identifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted += '"';
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

}  // namespace routing
