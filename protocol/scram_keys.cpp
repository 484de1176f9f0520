#include "protocol/scram_keys.hpp"

#include "protocol/crypto.hpp"

namespace pgwire {

secret_key salted_password(std::string_view prepared_password, byte_view salt, std::uint32_t iterations) {
  return pbkdf2_hmac_sha256(prepared_password, salt, iterations);
}

scram_keys derive_keys(const secret_key& salted_password) {
  return {hmac_sha256(salted_password.bytes(), as_bytes("Client Key")),
          hmac_sha256(salted_password.bytes(), as_bytes("Server Key"))};
}

secret_key stored_key_of(const secret_key& client_key) { return sha256(client_key.bytes()); }

std::string auth_message(std::string_view client_first_bare, std::string_view server_first,
                         std::string_view client_final_without_proof) {
  std::string text(client_first_bare);
  text.append(1, ',').append(server_first).append(1, ',').append(client_final_without_proof);
  return text;
}

secret_key client_proof(const secret_key& client_key, std::string_view auth_message) {
  return client_key ^ hmac_sha256(stored_key_of(client_key).bytes(), as_bytes(auth_message));
}

secret_key recover_client_key(const secret_key& proof, const secret_key& stored_key, std::string_view auth_message) {
  return proof ^ hmac_sha256(stored_key.bytes(), as_bytes(auth_message));
}

secret_key server_signature(const secret_key& server_key, std::string_view auth_message) {
  return hmac_sha256(server_key.bytes(), as_bytes(auth_message));
}

}  // namespace pgwire
