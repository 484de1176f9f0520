// Names and values in the parser's tree, as far as they can be known before a statement runs.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "protocol/statement.hpp"
#include "protocol/statement_tree.hpp"

namespace pgwire {

/// A list of the tree.
template <class T>
std::span<T* const> list_of(T* const* items, std::size_t count) {
  return {items, count};
}

/// The part of a name behind its schema; empty if it is no name.
std::string_view last_of(std::span<PgQuery__Node* const> name);

operand constant(std::string text);

/// An argument of a function.
struct argument {
  operand value;
  bool is_null = false;
  bool by_any_type = false;  ///< behind a cast to a type whose schema is not said
};

/// As the function would take it, by way of casts that change nothing. Null: an argument that is not there.
argument read_argument(const PgQuery__Node* node);

/// Whether a boolean is true and can be nothing else, whatever types and operators are defined.
bool is_surely_true(const PgQuery__Node* node);

}  // namespace pgwire
