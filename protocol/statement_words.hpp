// The names that matter wherever they stand in a statement: functions that reach into the session, the temporary
// schemas, the view whose rule is a way to SET.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "protocol/statement.hpp"

namespace pgwire {

/// What it may mean to mention `name`, given in any case; nothing for all the other names. Of set_config and
/// pg_settings, which matter by how they are used, the set is empty.
std::optional<trait_set> meaning_of(std::string_view name);

/// A name as a server may fold it: lower case, and the capital I with a dot an i, as where Turkish is spoken.
std::string fold_name(std::string_view name);

}  // namespace pgwire
