// What a statement gives to a setting, as far as it can be known before it runs.
//
// A value that goes through another type than text may come out as another text: of a bpchar the blanks at its end are
// lost, a regclass loses its schema.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "protocol/frontend_messages.hpp"
#include "protocol/statement.hpp"

namespace proxy {

/// The values of a Bind for a statement of these parameter types (OIDs; 0 or left out: not said); nothing in the place
/// of one that is no text as it stands.
inline pgwire::result<pgwire::frontend::bind> texts_of(pgwire::byte_view body, std::span<const std::uint32_t> types) {
  auto values = pgwire::frontend::bind::decode(body);
  if (!values) return values;
  const auto is_text = [](std::uint32_t type) { return type == 0 || type == 25 || type == 705 || type == 1043; };
  for (std::size_t i = 0; i < std::min(types.size(), values->parameters.size()); ++i) {
    if (!is_text(types[i])) values->parameters[i].reset();
  }
  return values;
}

/// Whether this can be a setting's name, and no other for the server.
inline bool is_setting_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    const bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte >= 0x80;
    return letter || (byte >= '0' && byte <= '9') || c == '_' || c == '.' || c == '$';
  });
}

/// `values`: of the statement's parameters, null if it has none or they are not known.
inline std::optional<std::string> known_value(const pgwire::operand& what, const pgwire::frontend::bind* values) {
  if (what.from == pgwire::operand::source::constant) return what.text;
  if (what.from != pgwire::operand::source::bound || values == nullptr) return std::nullopt;
  if (what.parameter == 0 || what.parameter > values->parameters.size()) return std::nullopt;
  const auto& value = values->parameters[what.parameter - 1U];
  if (!value) return std::nullopt;
  return std::string(*value);
}

/// Of a setting's name: nothing where it is none, too.
inline std::optional<std::string> known_name(const pgwire::operand& what, const pgwire::frontend::bind* values) {
  const auto name = known_value(what, values);
  return name && is_setting_name(*name) ? name : std::nullopt;
}

}  // namespace proxy
