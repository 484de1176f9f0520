// Names of prepared statements: those that SQL speaks of, and those that no client may use.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/error_response.hpp"
#include "protocol/statement.hpp"

namespace proxy {

/// Those of EXECUTE, PREPARE and DEALLOCATE.
std::vector<std::string> statements_named_by(const pgwire::verdict& verdict);

/// That a name is the lodge's. 42939, severity ERROR.
pgwire::error_report reserved(std::string_view name);
/// The same where one of these is; see is_reserved_name.
std::optional<pgwire::error_report> reserved_among(const std::vector<std::string>& names);

}  // namespace proxy
