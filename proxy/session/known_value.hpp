// What a statement gives to a setting, as far as it can be known before it runs.
#pragma once

#include <optional>
#include <string>

#include "protocol/frontend_messages.hpp"
#include "protocol/statement.hpp"

namespace proxy {

/// `values`: of the statement's parameters, null if it has none or they are not known.
inline std::optional<std::string> known_value(const pgwire::operand& what, const pgwire::frontend::bind* values) {
  if (what.from == pgwire::operand::source::constant) return what.text;
  if (what.from != pgwire::operand::source::bound || values == nullptr) return std::nullopt;
  if (what.parameter == 0 || what.parameter > values->parameters.size()) return std::nullopt;
  const auto& value = values->parameters[what.parameter - 1U];
  if (!value) return std::nullopt;
  return std::string(*value);
}

}  // namespace proxy
