#include "protocol/statement_values.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <utility>

namespace pgwire {
namespace {

enum class cast_to : std::uint8_t { other, text, boolean };

struct cast {
  cast_to to = cast_to::other;
  bool is_qualified = false;  ///< with pg_catalog; else it may be anyone's type of that name
};

// Casts that change no value: those with a length do.
cast read_cast(const PgQuery__TypeName& type) {
  if (type.n_typmods != 0 || type.n_array_bounds != 0 || type.setof || type.pct_type) return {};
  const auto names = list_of(type.names, type.n_names);
  const auto name = last_of(names);
  const bool is_qualified = names.size() == 2 && last_of(names.first(1)) == "pg_catalog";
  if (!is_qualified && names.size() != 1) return {};
  if (name == "text" || name == "varchar") return {.to = cast_to::text, .is_qualified = is_qualified};
  if (name == "bool") return {.to = cast_to::boolean, .is_qualified = is_qualified};
  return {};
}

std::optional<std::string> text_of(const PgQuery__AConst& value) {
  switch (value.val_case) {
    // A zero is what protobuf leaves out, down to the whole message.
    case PG_QUERY__A__CONST__VAL_IVAL: return std::to_string(value.ival->ival);
    case PG_QUERY__A__CONST__VAL_FVAL: return value.fval->fval;
    case PG_QUERY__A__CONST__VAL_BOOLVAL: return value.boolval->boolval ? "true" : "false";
    case PG_QUERY__A__CONST__VAL_SVAL: return value.sval->sval;
    default: return {};
  }
}

}  // namespace

std::string_view last_of(std::span<PgQuery__Node* const> name) {
  if (name.empty() || name.back()->node_case != PG_QUERY__NODE__NODE_STRING) return {};
  return name.back()->string->sval;
}

operand constant(std::string text) { return {.from = operand::source::constant, .text = std::move(text)}; }

argument read_argument(const PgQuery__Node* node) {
  argument read;
  bool is_cast = false;
  while (node != nullptr) {
    switch (node->node_case) {
      case PG_QUERY__NODE__NODE_NAMED_ARG_EXPR: node = node->named_arg_expr->arg; continue;
      case PG_QUERY__NODE__NODE_COLLATE_CLAUSE: node = node->collate_clause->arg; continue;
      case PG_QUERY__NODE__NODE_TYPE_CAST: {
        const auto to = read_cast(*node->type_cast->type_name);
        node = node->type_cast->arg;
        // `true` is a cast to bool in the tree.
        const bool is_bool = to.to == cast_to::boolean && node != nullptr &&
                             node->node_case == PG_QUERY__NODE__NODE_A_CONST &&
                             node->a_const->val_case == PG_QUERY__A__CONST__VAL_BOOLVAL;
        if (to.to != cast_to::text && !is_bool) return read;
        if (!to.is_qualified) read.by_any_type = true;
        is_cast = true;
        continue;
      }
      case PG_QUERY__NODE__NODE_PARAM_REF:
        if (const auto number = node->param_ref->number; number > 0 && number <= 0xffff) {
          read.value = {.from = operand::source::bound, .parameter = static_cast<std::uint16_t>(number)};
        }
        return read;
      case PG_QUERY__NODE__NODE_A_CONST: {
        const auto& value = *node->a_const;
        read.is_null = value.isnull;
        // A number with a point becomes another text when it is cast: 1e3 is 1000.
        if (is_cast && value.val_case == PG_QUERY__A__CONST__VAL_FVAL) return read;
        if (auto text = text_of(value)) read.value = constant(std::move(*text));
        return read;
      }
      default: return read;
    }
  }
  return read;
}

bool is_surely_true(const PgQuery__Node* node) {
  while (node != nullptr) {
    switch (node->node_case) {
      case PG_QUERY__NODE__NODE_NAMED_ARG_EXPR: node = node->named_arg_expr->arg; continue;
      case PG_QUERY__NODE__NODE_TYPE_CAST: {
        const auto to = read_cast(*node->type_cast->type_name);
        if (to.to != cast_to::boolean || !to.is_qualified) return false;
        node = node->type_cast->arg;
        continue;
      }
      case PG_QUERY__NODE__NODE_A_CONST: {
        const auto text = text_of(*node->a_const);
        constexpr auto truths = std::to_array<std::string_view>({"t", "true", "y", "yes", "on", "1"});
        return text && std::ranges::find(truths, *text) != truths.end();
      }
      default: return false;
    }
  }
  return false;
}

}  // namespace pgwire
