// One tenant for those who look after the lodge: where it lives, what it may use, and what it has used. A pure
// function.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/desk/usage_counts.hpp"
#include "routing/explain.hpp"
#include "routing/ids.hpp"
#include "routing/route.hpp"

namespace proxy::desk {

/// The id at the end of /tenants/ID, percent-decoded (RFC 3986, 2.1). Nothing: it is none.
std::optional<routing::tenant_id> tenant_of_path(std::string_view encoded);

/// JSON. Settings are told by name only: what they are set to may be nobody's business. Times of `used` are in
/// microseconds, those of limits in milliseconds; a limit that is not there does not exist.
/// `route` says of pool and guard what is in force: who comes by passthrough shares nothing and is not watched.
std::string tenant_page(const routing::route& where, const usage_counts& used, std::uint32_t clients,
                        routing::who_checks checks = routing::who_checks::lodge);

}  // namespace proxy::desk
