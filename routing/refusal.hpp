// Why a session is not let through, in the words the client gets.
#pragma once

#include <string>
#include <string_view>

namespace routing {

/// The SQLSTATEs that routing refuses with: appendix A of PostgreSQL's manual.
inline constexpr std::string_view invalid_authorization = "28000";
inline constexpr std::string_view invalid_catalog_name = "3D000";
inline constexpr std::string_view cannot_connect_now = "57P03";

struct refusal {
  std::string sqlstate;
  std::string message;  ///< lower case, no full stop
  std::string detail;   ///< may be empty
  std::string hint;     ///< may be empty
};

}  // namespace routing
