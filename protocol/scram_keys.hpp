// The arithmetic of SCRAM-SHA-256 (RFC 5802, section 3, with the hash of RFC 7677).
//
//   SaltedPassword  = Hi(prepared password, salt, iterations)         slow on purpose
//   ClientKey       = HMAC(SaltedPassword, "Client Key")              logs in
//   StoredKey       = H(ClientKey)                                    what a server keeps of it
//   ServerKey       = HMAC(SaltedPassword, "Server Key")              proves the server to the client
//   ClientProof     = ClientKey XOR HMAC(StoredKey, AuthMessage)
//   ServerSignature = HMAC(ServerKey, AuthMessage)
//
// Who sees a proof and knows StoredKey knows ClientKey. That is how the lodge, having checked a client's proof, can
// log in at a server that keeps the same secret.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "protocol/byte_reader.hpp"
#include "protocol/secret.hpp"

namespace pgwire {

/// What PostgreSQL gives new secrets (SCRAM_SHA_256_DEFAULT_ITERATIONS in src/include/common/scram-common.h).
inline constexpr std::uint32_t default_scram_iterations = 4096;
/// More are refused, wherever they come from: a hostile server could otherwise keep a processor busy for an hour
/// with one message (the family of CVE-2026-6669).
inline constexpr std::uint32_t most_scram_iterations = 1'000'000;

/// What derives from a password, a salt and an iteration count, and is good for logging in wherever these are the
/// same.
struct scram_keys {
  secret_key client_key;
  secret_key server_key;
};

/// Slow: a microsecond or so for each of `iterations` (1 to most_scram_iterations), so call it away from event loops.
/// The password is already prepared, by `saslprep`.
secret_key salted_password(std::string_view prepared_password, byte_view salt, std::uint32_t iterations);

scram_keys derive_keys(const secret_key& salted_password);

secret_key stored_key_of(const secret_key& client_key);

/// What both sides sign: everything that was said but for the proof.
std::string auth_message(std::string_view client_first_bare, std::string_view server_first,
                         std::string_view client_final_without_proof);

secret_key client_proof(const secret_key& client_key, std::string_view auth_message);

/// The ClientKey that a proof was made with, if it was made with that of `stored_key`; else noise. The check is that
/// `stored_key_of` gives `stored_key`.
secret_key recover_client_key(const secret_key& proof, const secret_key& stored_key, std::string_view auth_message);

secret_key server_signature(const secret_key& server_key, std::string_view auth_message);

}  // namespace pgwire
