#include "routing/ids.hpp"

#include <algorithm>

namespace routing {
namespace {

constexpr std::size_t most_id_length = 63;  // as PostgreSQL's own identifiers (NAMEDATALEN - 1)

constexpr bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

std::optional<tenant_id> tenant_id::parse(std::string_view text) {
  const bool fits = !text.empty() && text.size() <= most_id_length && is_word(text.front()) &&
                    std::ranges::all_of(text, [](char c) { return is_word(c) || c == '.' || c == '-'; });
  if (!fits) return std::nullopt;
  return tenant_id(text);
}

std::string in_words(const tenant_id& tenant) {
  return tenant.empty() ? "the place of sessions without a tenant" : "tenant \"" + tenant.str() + "\"";
}

}  // namespace routing
