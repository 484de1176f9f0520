// Takes a console client's text apart into words, literals and signs, statement by statement, as PostgreSQL's own
// lexer would: comments (nested ones too), '' within literals, "" within names, E'' literals, $1 parameters.
//
// A word keeps its letters as they were written, since tenant ids tell upper case from lower; whoever looks for a
// keyword compares without case. A dot is part of a word: "pg_catalog.version" and "log.level" are one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/error_response.hpp"

namespace proxy::console {

struct token {
  enum class kind : std::uint8_t {
    word,       ///< letters, digits, _ . $ and whatever is not ASCII
    literal,    ///< in single quotes
    name,       ///< in double quotes
    parameter,  ///< $1: `text` is the number
    sign,       ///< any other character
    end,        ///< of the statement
  };
  kind what = kind::end;
  std::string text;       ///< without its quotes
  std::size_t begin = 0;  ///< its first byte in the whole text

  /// Whether it is this keyword, which is written in capitals.
  [[nodiscard]] bool is(std::string_view keyword) const;
  [[nodiscard]] bool is_sign(char which) const { return what == kind::sign && text.front() == which; }
};

/// The tokens of one statement, without its semicolon; the last is `end`, which stands where the statement ends. Never
/// empty otherwise.
using statement_tokens = std::vector<token>;

/// The statements of a text; empty ones are left out. Error: 42601, for something that is not closed, and for a text of
/// more than `most_statements` of them.
std::expected<std::vector<statement_tokens>, pgwire::error_report> take_apart(std::string_view text);

inline constexpr std::size_t most_statements = 1000;

/// An error that leaves the session as it is.
pgwire::error_report refusal(std::string_view sqlstate, std::string message, std::string hint = {});

}  // namespace proxy::console
