// The SQLSTATEs that the lodge itself uses (PostgreSQL docs, appendix A).
#pragma once

#include <string_view>

namespace pgwire::sqlstate {

inline constexpr std::string_view connection_unestablished = "08001";  // sqlclient_unable_to_establish_sqlconnection
inline constexpr std::string_view connection_failure = "08006";
inline constexpr std::string_view protocol_violation = "08P01";
inline constexpr std::string_view character_not_in_repertoire = "22021";
inline constexpr std::string_view feature_not_supported = "0A000";
inline constexpr std::string_view invalid_parameter_value = "22023";
inline constexpr std::string_view active_sql_transaction = "25001";
inline constexpr std::string_view invalid_statement_name = "26000";  // of a prepared statement
inline constexpr std::string_view class_invalid_authorization = "28";
inline constexpr std::string_view invalid_authorization = "28000";
inline constexpr std::string_view invalid_password = "28P01";
inline constexpr std::string_view invalid_cursor_name = "34000";  // of a portal
inline constexpr std::string_view invalid_catalog_name = "3D000";
inline constexpr std::string_view insufficient_privilege = "42501";
inline constexpr std::string_view syntax_error = "42601";
inline constexpr std::string_view undefined_column = "42703";
inline constexpr std::string_view undefined_object = "42704";
inline constexpr std::string_view reserved_name = "42939";
inline constexpr std::string_view undefined_parameter = "42P02";
inline constexpr std::string_view duplicate_cursor = "42P03";
inline constexpr std::string_view duplicate_statement = "42P05";
inline constexpr std::string_view out_of_memory = "53200";
inline constexpr std::string_view too_many_connections = "53300";
inline constexpr std::string_view limit_exceeded = "53400";  // configuration_limit_exceeded
inline constexpr std::string_view program_limit_exceeded = "54000";
inline constexpr std::string_view not_in_prerequisite_state = "55000";
inline constexpr std::string_view query_canceled = "57014";
inline constexpr std::string_view admin_shutdown = "57P01";
inline constexpr std::string_view crash_shutdown = "57P02";
inline constexpr std::string_view cannot_connect_now = "57P03";
inline constexpr std::string_view config_file_error = "F0000";
inline constexpr std::string_view internal_error = "XX000";

}  // namespace pgwire::sqlstate
