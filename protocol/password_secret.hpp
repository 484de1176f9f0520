// What is kept of a role's password, in a users file or in pg_authid.rolpassword, and how what a client says is
// checked against it (PostgreSQL docs, 21.5 and 53.8; src/backend/libpq/crypt.c).
//
// Whoever reads a secret of any of the three kinds can do harm with it: it is never printed, and all of them wipe
// themselves.
//
// Nobody may find out which roles exist. For a role that does not, or that has no secret of the wanted kind, take
// `mock_scram_secret` and go through the same motions: it never verifies, in the time of one that might have. The
// mock key should outlive the process, for a salt that changes with a restart gives the role away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/byte_reader.hpp"
#include "protocol/error.hpp"
#include "protocol/secret.hpp"

namespace pgwire {

/// Longer ones are taken for wrong at once (PG_MAX_AUTH_TOKEN_LENGTH in src/backend/libpq/auth.c).
inline constexpr std::size_t most_password_bytes = 65535;
/// PostgreSQL makes salts of 16 bytes.
inline constexpr std::size_t most_scram_salt_bytes = 256;
/// The salts made here (SCRAM_DEFAULT_SALT_LEN).
inline constexpr std::size_t scram_salt_bytes = 16;

/// The password itself. PostgreSQL has not stored these since version 10.
struct plain_secret {
  secret_string password;
};
/// 32 hexadecimal digits, MD5 of the password and the role's name. As good as the password, under the md5 method.
struct md5_secret {
  secret_string hex;
};
struct scram_secret {
  std::uint32_t iterations = 0;  ///< 1 to most_scram_iterations
  std::string salt;              ///< 1 to most_scram_salt_bytes bytes; every client that asks is told
  secret_key stored_key;
  secret_key server_key;
  bool mock = false;  ///< for a role that does not exist: verifies nothing
};
using password_secret = std::variant<plain_secret, md5_secret, scram_secret>;

/// "md5" and 32 lower-case hexadecimal digits; "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>"; all else
/// is plain, as for PostgreSQL's get_password_type. The difference: what has all the parts of a SCRAM secret but
/// cannot be used (bad Base64, keys of another length, iterations out of range, a part written in another way) is an
/// error, so that no damaged secret becomes a password. Error: bad_password_secret, also for an empty text, one with
/// a zero byte, and one above most_password_bytes.
result<password_secret> parse_password_secret(std::string_view text);

/// The text that parses to `secret`.
secret_string encode_scram_secret(const scram_secret& secret);

enum class password_check : std::uint8_t {
  right,
  wrong,
  impossible,  ///< cannot be told: MD5 is not available, or an md5 answer was given for a SCRAM secret
};

/// Whether `verify_password` takes milliseconds (PBKDF2) rather than microseconds for this secret. Then it is for
/// another thread than an event loop's.
[[nodiscard]] bool verification_is_slow(const password_secret& secret);

/// Method `password`: is `password` the one that `secret` was made of? Empty, over-long ones and ones with a zero
/// byte are wrong. SCRAM secrets are compared after SASLprep, the others byte by byte.
password_check verify_password(const password_secret& secret, std::string_view role, std::string_view password);

/// Method `md5`: the text that answers the server's salt of 4 bytes (PostgreSQL docs, 55.2.1): "md5" and 32 digits.
/// For checking a client's and for logging in at a server. Errors: md5_unavailable; bad_password_secret for SCRAM
/// secrets.
result<secret_string> md5_answer(const password_secret& secret, std::string_view role, byte_view salt);

/// Method `md5`: is `answer` the one? Plain and md5 secrets; PostgreSQL holds a SCRAM exchange for the others.
password_check verify_md5_answer(const password_secret& secret, std::string_view role, byte_view salt,
                                 std::string_view answer);

/// Slow. The secret that PostgreSQL would store for `password`, which is not prepared yet. `salt` and `iterations`
/// within the bounds above.
scram_secret build_scram_secret(std::string_view password, byte_view salt, std::uint32_t iterations);

/// A salt that is always the same for a role, and looks like any other. For mock secrets, and for SCRAM secrets that
/// are built from plain ones: a fresh salt each time would tell them from the others.
std::string stable_salt(const secret_key& mock_key, std::string_view role);

/// As PostgreSQL's mock_scram_secret. Take the iteration count that real roles have.
scram_secret mock_scram_secret(const secret_key& mock_key, std::string_view role, std::uint32_t iterations);

}  // namespace pgwire
