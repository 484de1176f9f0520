// What can be wrong with bytes that claim to be the PostgreSQL protocol, as values, and the one table that
// says which SQLSTATE and words each of them becomes.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

namespace pgwire {

enum class errc : std::uint8_t {
  truncated,             ///< a field reaches beyond the end of its message
  trailing_bytes,        ///< a message has bytes after its last field
  missing_terminator,    ///< a string, or the startup packet's list, does not end
  bad_length,            ///< a length field below the minimum or above the maximum for its message
  unknown_message_type,  ///< no message of the protocol has this type byte
  misplaced_message,     ///< a message that does not belong in this state
  bad_field,             ///< a field has a value that the protocol does not know
  startup_too_short,     ///< a startup packet of less than 8 bytes
  startup_too_long,      ///< a startup packet of more than 10,000 bytes
  unsupported_protocol,  ///< a major version other than 3
  duplicate_parameter,   ///< a startup parameter given twice
  empty_parameter_name,  ///< a startup parameter with an empty name
  no_user,               ///< a startup packet without a user
  early_bytes,           ///< bytes after SSLRequest or GSSENCRequest that came before its answer
  repeated_request,      ///< a second SSLRequest or GSSENCRequest
  direct_tls,            ///< a TLS ClientHello where a startup packet should be
  bad_options,           ///< `options` holds a -c or -- switch without a name and value
};

struct error_info {
  std::string_view sqlstate;
  std::string_view text;  ///< a primary message: lower case, no full stop
};

/// The words for an error. Total: every errc has a row.
const error_info& describe(errc code);

template <class T>
using result = std::expected<T, errc>;

}  // namespace pgwire
