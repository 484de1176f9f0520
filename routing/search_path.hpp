// A search_path's value as text.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace routing {

/// The names in it, as SplitIdentifierString in the server reads them: unquoted ones in lower case. Nothing if it is no
/// list of identifiers.
std::optional<std::vector<std::string>> split_search_path(std::string_view text);

}  // namespace routing
