// The columns of everything that can be shown. PgBouncer's names (its documentation of 1.25) where the meaning is the
// same; what the lodge adds stands behind those.
#pragma once

#include <optional>

#include "proxy/console/command.hpp"
#include "proxy/console/table.hpp"

namespace proxy::console {

const columns& columns_of(thing what);
/// Of a table of it, the column that LIKE is about.
std::size_t key_of(thing what);

/// What a command's answer looks like; null: it gives no rows.
const columns* result_of(const command& one);

}  // namespace proxy::console
