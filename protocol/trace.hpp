// One line per message, for people who debug: direction, name, length, and facts that give nothing away
// (names of statements and portals, command tags, SQLSTATEs). Never SQL, parameters, rows, passwords or error
// texts.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "protocol/byte_reader.hpp"

namespace pgwire {

enum class direction : std::uint8_t { from_client, from_server };

/// "ReadyForQuery"; "Unknown" if no message of that direction has this type.
std::string_view message_name(direction from, char type);

/// `server ReadyForQuery 1 status=I`. The number is the body's length; facts that the body is too short or
/// too malformed for are left out. Anything that is not printable ASCII shows as '?'.
std::string trace_line(direction from, char type, byte_view body);

}  // namespace pgwire
