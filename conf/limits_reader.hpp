// `limits`, of a tenant and of those who share some: which keys each may have, and what they say.
#pragma once

#include "conf/yaml_reader.hpp"
#include "routing/limits.hpp"

namespace conf {

/// A tenant's, those of `defaults`, of no_tenant's route.
routing::limits read_limits(const yaml_value& section);

/// Those in the entry of a role or a database; null if it has none.
routing::shared_limits_ptr read_shared_limits(const yaml_value& entry, routing::sharer whose);

}  // namespace conf
