// Letters as PostgreSQL folds them in names: ASCII's only, whatever the locale.
#pragma once

namespace routing {

constexpr char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace routing
