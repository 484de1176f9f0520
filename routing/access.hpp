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

/// Whether the lodge has a user or a certificate of its own to log in by there: then the server cannot find out who a
/// client is.
[[nodiscard]] bool knows_the_lodge(const server& which);

}  // namespace routing
