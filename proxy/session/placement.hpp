// From a client's startup packet to the server's: what goes into the one is decided by the route, the rest is the
// client's own. Pure functions.
//
// Schema, role and settings travel in the server's startup packet, because what is set there is what RESET and
// DISCARD ALL come back to (PostgreSQL docs, 20.1.3): the tenant's dress cannot be taken off.
#pragma once

#include "protocol/error.hpp"
#include "protocol/startup.hpp"
#include "protocol/startup_options.hpp"
#include "proxy/pool/wish.hpp"
#include "routing/route.hpp"
#include "routing/tenant_hint.hpp"

namespace proxy {

/// A client's StartupMessage with its `options` read.
struct session_request {
  pgwire::startup_message startup;
  pgwire::startup_options options;

  /// Error: bad_options.
  static pgwire::result<session_request> read(pgwire::startup_message startup);

  /// What the hints are looked for in.
  [[nodiscard]] routing::session_facts facts() const;
  friend bool operator==(const session_request&, const session_request&) = default;
};

/// Who logs in for a session, and to which database.
pool_key pool_key_of(const routing::identity& who, const routing::route& where);

/// What a worker's session asks the server's ledger for; what changes from lease to lease is not in it.
connection_wish wish_for(unsigned worker, const routing::identity& who, const routing::route& where);

/// The parameters of the server's startup packet. The client's are kept, except those that the route decides
/// (search_path, role, its settings, and session_authorization where a role is given) and hints that PostgreSQL
/// would not know as a setting. Where the server has a user of its own who logs in, the role is the route's, else the
/// client's: never that user.
pgwire::parameter_list server_parameters(const session_request& client, const routing::identity& who,
                                         const routing::route& where);

/// What the route sets: search_path, role, its settings. Where the server has a user of its own who logs in, the role
/// is the route's, else the client's: never that user.
routing::setting_list tenant_settings(const routing::identity& who, const routing::route& where);

/// The client's own settings as its session starts: what `server_parameters` keeps of them, by canonical name. Those
/// are put on after the tenant's.
routing::setting_list own_settings(const session_request& client, const routing::identity& who,
                                   const routing::route& where);

}  // namespace proxy
