// What lives in a server's session, as far as the lodge knows: it belongs to the connection and moves with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "protocol/frame_cutter.hpp"
#include "proxy/pool/parameters.hpp"
#include "proxy/pool/prepared_statement.hpp"
#include "routing/session_state.hpp"

namespace proxy {

/// Of those that are looked at one by one, header included, in bytes.
inline constexpr std::size_t most_row = std::size_t{2} * 1024 * 1024;

struct server_session {
  server_session();

  /// Results come row by row from now on, each whole up to `most_row`.
  void look_at_rows();
  /// And in runs again, as they are.
  void let_rows_pass();

  /// Whatever else it wears, the role is to be put on again.
  void doubt_role();

  pgwire::frame_cutter incoming;    ///< the server's stream
  routing::session_state_ptr worn;  ///< null: not known; nothing may run before it has been reset
  std::string tenant;               ///< whose statements ran here last; with `used` only
  bool used = false;                ///< somebody's statements ran here since the last reset
  bool suspect = false;             ///< something may have changed that nobody saw: reset before anybody else
  std::uint64_t last_client = 0;    ///< the session that used it last
  parameters_ptr reported = std::make_shared<const parameter_map>();
  server_statements statements;
};

}  // namespace proxy
