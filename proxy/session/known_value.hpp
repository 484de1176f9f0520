// What a statement gives to a setting, as far as it can be known before it runs.
//
// A value that goes through another type than text may come out as another text: of a bpchar the blanks at its end are
// lost, a regclass loses its schema.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/frontend_messages.hpp"
#include "protocol/statement.hpp"
#include "proxy/pool/prepared_statement.hpp"

namespace proxy {

/// Of a Bind for this statement: keeps nothing in the place of a value that is no text as it stands. Of a parameter
/// whose type the client has left to the server, another mention may have decided.
inline void keep_texts(pgwire::frontend::bind& values, const prepared_statement& of) {
  for (std::size_t i = 0; i < values.parameters.size(); ++i) {
    const std::uint32_t type = i < of.parameter_types.size() ? of.parameter_types[i] : 0;
    const bool said = type == 25 || type == 1043;  // text, varchar
    const bool left = type == 0 || type == 705;    // unknown
    const bool alone = !of.verdict || !std::ranges::binary_search(of.verdict->repeated, i + 1);
    if (!said && !(left && alone)) values.parameters[i].reset();
  }
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
