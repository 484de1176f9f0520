// Letters in the texts of statements, as PostgreSQL's lexer sees them: bytes, whatever the encoding and the locale.
#pragma once

namespace pgwire {

/// Part of a character that is not ASCII's.
constexpr bool is_high(char c) { return (static_cast<unsigned char>(c) & 0x80) != 0; }
/// ASCII's letters only.
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace pgwire
