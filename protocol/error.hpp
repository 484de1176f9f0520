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
  no_alpn,               ///< direct TLS without the ALPN protocol "postgresql"
  bad_options,           ///< `options` holds a -c or -- switch without a name and value

  // Authentication: the SCRAM exchange with a client or a server, and what is compared in it.
  malformed_scram,         ///< a SCRAM message that does not follow RFC 5802, or is too long
  unknown_sasl_mechanism,  ///< a client chose, or a server offers only, what the lodge does not speak
  scram_authzid,           ///< a client that wants to act as another role
  scram_extension,         ///< a mandatory SCRAM extension (`m=`); none exists
  scram_binding_type,      ///< channel binding other than tls-server-end-point
  scram_downgrade,         ///< a client that was made to believe that there is no channel binding
  scram_binding_mismatch,  ///< the client is bound to another TLS channel than this one
  scram_nonce_mismatch,    ///< a nonce that does not continue the one sent
  scram_iterations,        ///< an iteration count of 0 or above `most_scram_iterations`
  scram_server_error,      ///< a server that ends the exchange with `e=`
  server_not_genuine,      ///< a server whose signature shows that it does not know the role's secret
  wrong_password,          ///< the password, or the proof of it, is wrong; or there is no such role
  md5_unavailable,         ///< libcrypto refuses MD5
  bad_password_secret,     ///< a stored secret that is empty, too long, or SCRAM that cannot be used
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
