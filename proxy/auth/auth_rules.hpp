// Which method a client must pass: `auth.rules`, in the manner of pg_hba.conf. Pure.
//
// The first rule that fits decides, also if it refuses; where none fits, `auth.method` holds. A rule fits if all that
// it says fits. What it does not say fits everybody.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "conf/daemon_file.hpp"
#include "conf/network.hpp"
#include "routing/explain.hpp"

namespace proxy {

/// What is known of a client when it must be decided how it proves who it is.
struct auth_facts {
  bool tls = false;
  std::optional<conf::ip_address> peer;  ///< nothing: a Unix socket
  /// That it asks for, or its role's name where it asks for none. Empty: only rules without a database fit.
  std::string_view database;
  std::string_view role;
  std::string_view tenant;  ///< empty: none
};

struct auth_decision {
  conf::auth_method method;
  std::optional<std::size_t> rule;  ///< which of the rules decided, from 0; nothing: auth.method
};

auth_decision method_for(const conf::auth_settings& settings, const auth_facts& facts);

/// Whether whoever has passed one method needs nothing more where another is wanted: the same, or one that proves less
/// in the same way. Nobody can be let in by passthrough later, and nothing is enough for reject.
[[nodiscard]] bool is_enough(conf::auth_method passed, conf::auth_method wanted);

/// What is known of all sessions before any comes.
[[nodiscard]] routing::who_checks who_checks(const conf::auth_settings& settings);

/// For the log: "auth.rules[2]" or "auth.method".
std::string to_string(const auth_decision& decision);

/// Whether a rule's address fits. A tenant pattern, `*` included, fits no session without a tenant.
[[nodiscard]] bool fits(const conf::auth_rule& rule, const auth_facts& facts);

}  // namespace proxy
