// The `hints` section: where a session says which tenant it is for.
#include <algorithm>
#include <array>
#include <initializer_list>

#include "conf/names.hpp"
#include "conf/routes_file.hpp"
#include "conf/values.hpp"
#include "conf/words.hpp"
#include "routing/ascii.hpp"

namespace conf {
namespace {

using routing::hint;
using routing::hint_source;

std::optional<hint> read_setting_hint(const yaml_value& value, hint_source source) {
  const auto text = value.text();
  if (!text) return std::nullopt;
  if (const auto problem = setting_name_problem(*text)) {
    value.error(*problem);
    return std::nullopt;
  }
  return hint{source, std::string(*text), std::nullopt};
}

std::optional<hint> read_template_hint(const yaml_value& value, hint_source source,
                                       std::initializer_list<std::string_view> variables) {
  auto pattern = read_template(value, variables);
  if (!pattern) return std::nullopt;
  if (!pattern->has("tenant")) {
    value.error(in_quotes(pattern->text()) + " yields no tenant; write {tenant} where its id stands");
    return std::nullopt;
  }
  return hint{source, {}, std::move(pattern)};
}

// Server names have no case, and are compared in lower case.
std::optional<hint> read_server_name_hint(const yaml_value& value) {
  auto made = read_template_hint(value, hint_source::sni, {"tenant"});
  if (!made) return std::nullopt;
  std::string text = made->pattern->text();
  std::ranges::transform(text, text.begin(), routing::ascii_lower);
  made->pattern = *routing::name_template::parse(text, {"tenant"});
  return made;
}

std::optional<hint> read_certificate_hint(const yaml_value& value) {
  const auto field = value.choice<std::string_view>({{"cn", "cn"}, {"san", "san"}});
  if (!field) return std::nullopt;
  return hint{hint_source::certificate, std::string(*field), std::nullopt};
}

std::optional<hint> read_hint(const yaml_value& entry) {
  if (!entry.is_mapping()) return std::nullopt;
  using enum hint_source;
  std::vector<std::optional<hint>> found;
  if (const auto value = entry.find("startup")) found.push_back(read_setting_hint(*value, startup));
  if (const auto value = entry.find("user")) found.push_back(read_template_hint(*value, user, {"role", "tenant"}));
  if (const auto value = entry.find("database"))
    found.push_back(read_template_hint(*value, database, {"dbname", "tenant"}));
  if (const auto value = entry.find("sni")) found.push_back(read_server_name_hint(*value));
  if (const auto value = entry.find("certificate")) found.push_back(read_certificate_hint(*value));
  if (const auto value = entry.find("variable")) found.push_back(read_setting_hint(*value, variable));
  if (const auto value = entry.find("search_path"))
    found.push_back(read_template_hint(*value, search_path, {"tenant"}));
  if (found.size() > 1) {
    entry.error("several hints in one entry have no order; give each its own, after \"- \"");
  } else if (entry.size() == 0) {
    entry.error("an empty entry; write a hint such as user: \"{role}.{tenant}\", or remove it");
  }
  return found.size() == 1 ? found.front() : std::nullopt;
}

}  // namespace

std::vector<hint> read_hints(const yaml_value& hints) {
  std::vector<hint> all;
  if (!hints.is_list("[{ user: \"{role}.{tenant}\" }]")) return all;
  hints.for_each([&](const yaml_value& entry) {
    auto one = read_hint(entry);
    if (!one) return;
    for (const hint& other : all) {
      if (other == *one) return entry.error("the same hint as above; remove one of them");
    }
    all.push_back(std::move(*one));
  });
  return all;
}

}  // namespace conf
