// What a process tells the one that replaces it, as JSON: what an administrator laid over the configuration, and where
// cancel requests of its sessions are taken.
//
// The other may be of another version. Names that are not known are ignored, and what is missing is as at a fresh
// start; but what is known and makes no sense is refused, since a tenant that was suspended must not come back by it.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "routing/overrides.hpp"

namespace proxy {

struct testament {
  std::vector<std::string> cancel_doors;  ///< abstract sockets where older processes take cancel requests
  routing::overrides overrides;
  std::string log_level;       ///< laid over the configuration's; empty: none
  std::vector<bool> own_file;  ///< of each socket that comes with it: see listening_socket

  [[nodiscard]] std::string to_json() const;
  /// The error says what is wrong with it.
  static std::expected<testament, std::string> from_json(const std::string& text);
};

}  // namespace proxy
