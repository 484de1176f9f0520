// The SQLSTATEs that the lodge itself uses (PostgreSQL docs, appendix A).
#pragma once

#include <string_view>

namespace pgwire::sqlstate {

inline constexpr std::string_view connection_unestablished = "08001";  // sqlclient_unable_to_establish_sqlconnection
inline constexpr std::string_view connection_failure = "08006";
inline constexpr std::string_view protocol_violation = "08P01";
inline constexpr std::string_view feature_not_supported = "0A000";
inline constexpr std::string_view active_sql_transaction = "25001";
inline constexpr std::string_view invalid_authorization = "28000";
inline constexpr std::string_view invalid_password = "28P01";
inline constexpr std::string_view invalid_catalog_name = "3D000";
inline constexpr std::string_view insufficient_privilege = "42501";
inline constexpr std::string_view syntax_error = "42601";
inline constexpr std::string_view too_many_connections = "53300";
inline constexpr std::string_view limit_exceeded = "53400";  // configuration_limit_exceeded
inline constexpr std::string_view query_canceled = "57014";
inline constexpr std::string_view admin_shutdown = "57P01";
inline constexpr std::string_view cannot_connect_now = "57P03";
inline constexpr std::string_view internal_error = "XX000";

}  // namespace pgwire::sqlstate
