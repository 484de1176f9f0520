// How far a lease's server has come in asking its client for COPY data.
//
// What a server takes for COPY data depends on when it asks for it, and whether that statement has failed by then. So
// nothing of the client's overtakes a statement that may ask for data: not the data, which goes out when it was asked
// for or not at all, and no Sync, which a COPY swallows and anything else answers (PostgreSQL docs, 55.2.6; CopyGetData
// in its sources).
#pragma once

#include <cstdint>
#include <string_view>

namespace proxy {

struct copying {
  /// A server ends the connection by a statement among COPY data, unless the COPY has failed already, which may not be
  /// known yet: then the statement is one. Which it is an end of the data tells that fails with these words, or means
  /// nothing to the server.
  static constexpr std::string_view misplaced = "pglodge: what came next was no COPY data";

  bool is_open = false;          ///< the server takes data, and the client has not ended it
  bool has_data = false;         ///< some has gone out
  bool asked = false;            ///< a Flush has gone out behind what may copy
  bool probed = false;           ///< `misplaced` has gone out
  bool goes_on = false;          ///< and hit
  bool stray_sync = false;       ///< the client has sent a Sync behind data
  std::uint32_t held_syncs = 0;  ///< which came before any data, and are none if some comes

  void open() {
    is_open = true;
    has_data = false;
  }
};

}  // namespace proxy
