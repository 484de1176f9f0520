// PgBouncer's auth_hba_file as `auth.rules`.
//
// The first line that fits decides in both, so a line that cannot be said as rules must not simply be left out: whom it
// was to stop would go on to the next. Such a line becomes rules that refuse everybody whom it may have been about.
// Lines that PgBouncer itself passes over, since it cannot read them, are passed over.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "conf/daemon_file.hpp"

namespace conf {

struct hba_remark {
  std::uint32_t line = 1;
  std::string what;
};

struct hba_reading {
  std::vector<auth_rule> rules;  ///< the last refuses whom no line fits, as PgBouncer does
  std::vector<hba_remark> remarks;
};

/// `has_secrets`: whether there is a users file or a query. Without, methods that need secrets refuse.
hba_reading read_pgbouncer_hba(std::string_view text, bool has_secrets);

}  // namespace conf
