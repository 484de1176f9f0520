// Where a URL or a bare tenant id leads: for `pglodge route` and the console's SHOW ROUTE.
#pragma once

#include <expected>
#include <string>

#include "conf/daemon_file.hpp"
#include "routing/explain.hpp"
#include "routing/route_table.hpp"

namespace proxy {

/// `subject` begins with postgres:// or postgresql://, or is a tenant's id; `over` is laid over the table. Who asks for
/// the console is told what `settings` let it do there. Error, for people: it is neither, or is not read as a URL by
/// libpq.
std::expected<routing::explanation, std::string> explain_route(const conf::daemon_settings& settings,
                                                               const routing::route_table& table,
                                                               const std::string& subject,
                                                               const routing::overrides& over = {});

}  // namespace proxy
