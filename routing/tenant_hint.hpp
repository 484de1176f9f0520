// From what a session says of itself to the tenant it is for.
//
// Hints are tried in order; of several templates for the same source (say, two for `user`) the first that matches
// counts. Hints from different sources that name different tenants are refused (28000), never silently ranked.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "routing/ids.hpp"
#include "routing/refusal.hpp"
#include "routing/route.hpp"
#include "routing/template.hpp"

namespace routing {

enum class hint_source : std::uint8_t { startup, user, database, sni, certificate, variable, search_path };
std::string_view to_string(hint_source source);

struct hint {
  hint_source source = hint_source::user;
  std::string name;                      ///< startup, variable: the setting; certificate: "cn" or "san"
  std::optional<name_template> pattern;  ///< the others: the template
  friend bool operator==(const hint&, const hint&) = default;
};

/// What a client's startup packet says, and its TLS before it.
struct session_facts {
  std::string user;
  std::optional<std::string> database;
  setting_list settings;    ///< by canonical name: startup parameters and those in `options`, each occurrence
  std::string server_name;  ///< TLS server name indication; empty without
  std::string common_name;  ///< of the verified client certificate; empty without
  std::vector<std::string> alternative_names;  ///< likewise: DNS names and e-mail addresses
};

/// Who a session is, as the server shall see it.
struct identity {
  tenant_id tenant;                     ///< empty: no hint matched
  std::string user;                     ///< without what the hint took out
  std::optional<std::string> database;  ///< likewise; nothing if the client named none
  std::string hint;                     ///< for people, which hint matched: `user "{role}.{tenant}"`; empty if none
  bool fixed = false;                   ///< by the user, a certificate or a server name: it stays this tenant's
  std::vector<std::string> consumed;    ///< settings that served as a startup hint
  friend bool operator==(const identity&, const identity&) = default;
};

/// The hints at the session's beginning, where a `variable` or a `search_path` may have come with the startup packet.
/// Refusals: 3D000 (a value that is no valid tenant id where all of it should be one: a setting's, a certificate's
/// name), 28000 (hints that disagree). A template whose captured text is no valid id does not match;
/// host names are compared in lower case.
std::expected<identity, refusal> identify(const std::vector<hint>& hints, const session_facts& facts);

}  // namespace routing
