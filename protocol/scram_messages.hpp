// The four messages of SCRAM (RFC 5802, section 7), read and written.
//
//   client-first   n,,n=,r=<client nonce>
//   server-first   r=<client nonce><server nonce>,s=<salt>,i=<iterations>
//   client-final   c=<binding>,r=<both nonces>,p=<proof>
//   server-final   v=<signature>  or  e=<error>
//
// Each struct is a view into the text it was decoded from, or into what the caller set. `decode` takes all of a text
// or nothing: attributes in their order, none missing, no zero byte, no comma too many. Optional extensions, after
// the attributes, are checked for their form and passed over, as PostgreSQL does. Errors: malformed_scram,
// scram_extension for `m=`, and what is named below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/error.hpp"
#include "protocol/secret.hpp"

namespace pgwire {

inline constexpr std::string_view scram_sha_256 = "SCRAM-SHA-256";
inline constexpr std::string_view scram_sha_256_plus = "SCRAM-SHA-256-PLUS";
/// The one channel binding there is (RFC 5929, section 4): a hash of the server's certificate.
inline constexpr std::string_view tls_server_end_point = "tls-server-end-point";

/// PG_MAX_SASL_MESSAGE_LENGTH in PostgreSQL's src/backend/libpq/auth-sasl.c.
inline constexpr std::size_t most_scram_client_message = 1024;
/// What libpq takes of an authentication request (PQconnectPoll in src/interfaces/libpq/fe-connect.c).
inline constexpr std::size_t most_scram_server_message = 2000;
/// A nonce is 1 to so many printable characters without a comma; libpq's and PostgreSQL's have 24 each.
inline constexpr std::size_t most_scram_client_nonce = 256;
inline constexpr std::size_t most_scram_nonce = 2 * most_scram_client_nonce;  ///< both together

/// Whether `text` can be a nonce, or a part of one, of at most `most` characters.
bool is_scram_nonce(std::string_view text, std::size_t most);

/// What a client says of channel binding, with the gs2 header in front of its first message.
enum class scram_binding : char {
  unsupported = 'n',  ///< it cannot, or does not want to
  not_offered = 'y',  ///< it could, but the server did not offer it
  bound = 'p',
};

struct scram_client_first {
  scram_binding binding = scram_binding::unsupported;
  std::string_view binding_type;  ///< bound only
  /// PostgreSQL knows the role from the startup packet and looks at nothing here; so it is not even checked for
  /// SASL's escapes. libpq leaves it empty; others write "*", or what they like.
  std::string_view user;
  std::string_view nonce;
  std::string_view header;  ///< decode only: "n,,", which client-final must repeat
  std::string_view bare;    ///< decode only: what comes after the header, which the proofs are made over

  /// Also scram_authzid.
  static result<scram_client_first> decode(std::string_view text);
  /// Without the header: `bare` is all of it.
  static result<scram_client_first> decode_bare(std::string_view text);
  [[nodiscard]] std::string encode_header() const;
  [[nodiscard]] std::string encode_bare() const;
  [[nodiscard]] std::string encode() const { return encode_header() + encode_bare(); }
};

struct scram_server_first {
  std::string_view nonce;        ///< the client's and the server's
  std::string_view salt_base64;  ///< 1 to most_scram_salt_bytes bytes
  std::uint32_t iterations = 0;

  /// Also scram_iterations: outside 1 to most_scram_iterations.
  static result<scram_server_first> decode(std::string_view text);
  [[nodiscard]] std::string encode() const;
};

struct scram_client_final {
  std::string_view binding_base64;  ///< of the gs2 header and the channel's data; as it came, not decoded
  std::string_view nonce;
  secret_key proof;
  std::string_view without_proof;  ///< decode only

  static result<scram_client_final> decode(std::string_view text);
  [[nodiscard]] std::string encode_without_proof() const;
  [[nodiscard]] std::string encode() const;
};

struct scram_server_final {
  secret_key signature;    ///< if there is no error
  std::string_view error;  ///< "invalid-proof"

  static result<scram_server_final> decode(std::string_view text);
  [[nodiscard]] std::string encode() const;
};

}  // namespace pgwire
