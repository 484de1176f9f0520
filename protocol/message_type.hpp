// What a message of protocol 3 begins with: the type bytes in both directions (PostgreSQL docs, 55.7).
#pragma once

#include <cstddef>

namespace pgwire {

/// The type, and the length, which counts itself.
inline constexpr std::size_t message_header_bytes = 5;

namespace frontend_type {
inline constexpr char bind = 'B';
inline constexpr char close = 'C';
inline constexpr char describe = 'D';
inline constexpr char execute = 'E';
inline constexpr char function_call = 'F';
inline constexpr char flush = 'H';
inline constexpr char parse = 'P';
inline constexpr char query = 'Q';
inline constexpr char sync = 'S';
inline constexpr char terminate = 'X';
inline constexpr char copy_done = 'c';
inline constexpr char copy_data = 'd';
inline constexpr char copy_fail = 'f';
inline constexpr char authentication = 'p';  // password, SASL and GSS answers
}  // namespace frontend_type

namespace backend_type {
inline constexpr char parse_complete = '1';
inline constexpr char bind_complete = '2';
inline constexpr char close_complete = '3';
inline constexpr char notification_response = 'A';
inline constexpr char command_complete = 'C';
inline constexpr char data_row = 'D';
inline constexpr char error_response = 'E';
inline constexpr char copy_in_response = 'G';
inline constexpr char copy_out_response = 'H';
inline constexpr char empty_query_response = 'I';
inline constexpr char backend_key_data = 'K';
inline constexpr char notice_response = 'N';
inline constexpr char authentication = 'R';
inline constexpr char parameter_status = 'S';
inline constexpr char row_description = 'T';
inline constexpr char function_call_response = 'V';
inline constexpr char copy_both_response = 'W';
inline constexpr char ready_for_query = 'Z';
inline constexpr char copy_done = 'c';
inline constexpr char copy_data = 'd';
inline constexpr char no_data = 'n';
inline constexpr char portal_suspended = 's';
inline constexpr char parameter_description = 't';
inline constexpr char negotiate_protocol_version = 'v';
}  // namespace backend_type

}  // namespace pgwire
