// Whether a session may go where its route leads.
#pragma once

#include <optional>
#include <string_view>

#include "routing/refusal.hpp"
#include "routing/route.hpp"

namespace routing {

/// Nothing if the role may enter. Refusals: 28000 (not among the route's users), 57P03 (suspended, with the
/// tenant's message). A held tenant is not refused here.
std::optional<refusal> may_enter(const route& where, std::string_view role);

/// The part of it that does not depend on the role: nothing unless the tenant is suspended.
std::optional<refusal> is_open(const route& where);

}  // namespace routing
