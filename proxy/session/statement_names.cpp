#include "proxy/session/statement_names.hpp"

#include <algorithm>

#include "protocol/sqlstate.hpp"
#include "proxy/pool/prepared_statement.hpp"

namespace proxy {

std::vector<std::string> statements_named_by(const pgwire::verdict& verdict) {
  std::vector<std::string> names = verdict.executes;
  names.insert(names.end(), verdict.prepares.begin(), verdict.prepares.end());
  names.insert(names.end(), verdict.deallocates.begin(), verdict.deallocates.end());
  std::ranges::sort(names);  // one text can name one thousands of times
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

pgwire::error_report reserved(std::string_view name) {
  return {"ERROR",
          std::string(pgwire::sqlstate::reserved_name),
          "the statement name \"" + std::string(name) + "\" is reserved",
          "Names that begin so are pglodge's.",
          {}};
}

std::optional<pgwire::error_report> reserved_among(const std::vector<std::string>& names) {
  const auto found = std::ranges::find_if(names, is_reserved_name);
  return found != names.end() ? std::optional(reserved(*found)) : std::nullopt;
}

}  // namespace proxy
