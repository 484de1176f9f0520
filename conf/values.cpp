#include "conf/values.hpp"

#include <algorithm>

#include "conf/names.hpp"
#include "conf/words.hpp"

namespace conf {
namespace {

std::optional<routing::name_template> parse_template(const yaml_value& value, std::string_view text,
                                                     std::initializer_list<std::string_view> variables) {
  auto parsed = routing::name_template::parse(text, variables);
  if (parsed) return std::move(*parsed);
  const bool would_have_tenant = routing::name_template::parse(text, {"tenant"}).has_value();
  value.error(variables.size() == 0 && would_have_tenant
                  ? in_quotes(text) + " speaks of {tenant}, and these sessions name none; write a name without it"
                  : in_quotes(text) + ": " + parsed.error());
  return std::nullopt;
}

}  // namespace

std::optional<std::string> read_name(const yaml_value& value) {
  const auto text = value.text();
  if (!text) return std::nullopt;
  if (const auto problem = identifier_problem(*text)) {
    value.error(*problem);
    return std::nullopt;
  }
  return std::string(*text);
}

std::optional<std::vector<std::string>> read_names(const yaml_value& list, std::string_view none) {
  if (!list.is_list()) return std::nullopt;
  if (list.size() == 0) {
    list.error("an empty list; write at least one name, or " + std::string(none));
    return std::nullopt;
  }
  std::vector<std::string> names;
  list.for_each([&](const yaml_value& item) {
    auto name = read_name(item);
    if (!name) return;
    if (std::ranges::find(names, *name) != names.end())
      return item.error(in_quotes(*name) + " is there already; remove it");
    names.push_back(std::move(*name));
  });
  return names;
}

std::optional<routing::name_template> read_template(const yaml_value& value,
                                                    std::initializer_list<std::string_view> variables) {
  const auto text = value.text();
  if (!text) return std::nullopt;
  auto parsed = parse_template(value, *text, variables);
  if (!parsed) return std::nullopt;
  if (std::ranges::any_of(*text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
    value.error("the name " + in_quotes(*text) + " holds a control character");
    return std::nullopt;
  }
  if (const std::size_t literal = parsed->fill("").size(); literal > longest_identifier) {
    value.error("the name " + in_quotes(*text) + " has " + std::to_string(literal) +
                " bytes; PostgreSQL's names have at most " + std::to_string(longest_identifier));
    return std::nullopt;
  }
  return parsed;
}

std::optional<routing::name_template> read_setting_value(const yaml_value& value,
                                                         std::initializer_list<std::string_view> variables) {
  if (value.is_null()) {
    value.error("nothing is written here; write \"\" for an empty value, or remove the key");
    return std::nullopt;
  }
  const auto text = value.text_or_empty();
  if (!text) return std::nullopt;
  if (text->contains('\0')) {
    value.error("holds a NUL character, which PostgreSQL's texts cannot; remove it");
    return std::nullopt;
  }
  return parse_template(value, *text, variables);
}

std::optional<routing::pool_mode> read_pool_mode(const yaml_value& value) {
  return value.choice<routing::pool_mode>(
      {{"session", routing::pool_mode::session}, {"transaction", routing::pool_mode::transaction}});
}

}  // namespace conf
