// `limits`, of a tenant and of those who share some: which keys each may have, and what they say.
#pragma once

#include <cstdint>

#include "conf/yaml_reader.hpp"
#include "routing/limits.hpp"

namespace conf {

/// What `max_connections` of a server and `size` of a pool may say.
inline constexpr std::uint32_t most_connections = 1'000'000;

/// A tenant's, those of `defaults`, of no_tenant's route.
routing::limits read_limits(const yaml_value& section);

/// Those in the entry of a role or a database; null if it has none.
routing::shared_limits_ptr read_shared_limits(const yaml_value& entry, routing::sharer whose);

}  // namespace conf
