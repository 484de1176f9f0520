#include "protocol/scram_server_fsm.hpp"

#include <cassert>
#include <utility>

#include "protocol/base64.hpp"
#include "protocol/byte_reader.hpp"
#include "protocol/scram_keys.hpp"
#include "protocol/scram_messages.hpp"

namespace pgwire {

scram_server_fsm::scram_server_fsm(scram_secret secret, std::string server_nonce, std::optional<std::string> end_point)
    : secret_(std::move(secret)), server_nonce_(std::move(server_nonce)), end_point_(std::move(end_point)) {
  assert(is_scram_nonce(server_nonce_, most_scram_client_nonce));
}

std::vector<std::string_view> scram_server_fsm::mechanisms() const {
  if (end_point_) return {scram_sha_256_plus, scram_sha_256};
  return {scram_sha_256};
}

scram_server_fsm::action scram_server_fsm::on_initial(std::string_view mechanism,
                                                      std::optional<std::string_view> data) {
  if (stage_ != stage::start) return fail(errc::misplaced_message);
  plus_ = mechanism == scram_sha_256_plus && end_point_;
  if (!plus_ && mechanism != scram_sha_256) return fail(errc::unknown_sasl_mechanism);
  if (data) return on_client_first(*data);
  enter(stage::awaiting_first);
  return send_continue{};
}

scram_server_fsm::action scram_server_fsm::on_response(std::string_view data) {
  switch (stage_) {
    case stage::awaiting_first: return on_client_first(data);
    case stage::awaiting_final: return on_client_final(data);
    case stage::start:
    case stage::done: break;
  }
  return fail(errc::misplaced_message);
}

scram_server_fsm::action scram_server_fsm::on_client_first(std::string_view text) {
  const auto message = scram_client_first::decode(text);
  if (!message) return fail(message.error());
  const bool bound = message->binding == scram_binding::bound;
  if (bound != plus_) return fail(errc::malformed_scram);
  if (bound && message->binding_type != tls_server_end_point) return fail(errc::scram_binding_type);
  // It can bind and thinks that we cannot, though we offered it: somebody between us took the offer away.
  if (message->binding == scram_binding::not_offered && end_point_) return fail(errc::scram_downgrade);

  std::string binding(message->header);
  if (bound) binding += *end_point_;
  binding_base64_ = base64_encode(as_bytes(binding));
  client_first_bare_ = message->bare;
  nonce_ = std::string(message->nonce) + server_nonce_;
  const auto salt = base64_encode(as_bytes(secret_.salt));
  server_first_ = scram_server_first{nonce_, salt, secret_.iterations}.encode();
  enter(stage::awaiting_final);
  return send_continue{server_first_};
}

scram_server_fsm::action scram_server_fsm::on_client_final(std::string_view text) {
  const auto message = scram_client_final::decode(text);
  if (!message) return fail(message.error());
  if (message->binding_base64 != binding_base64_) return fail(errc::scram_binding_mismatch);
  if (message->nonce != nonce_) return fail(errc::scram_nonce_mismatch);

  const auto signed_text = auth_message(client_first_bare_, server_first_, message->without_proof);
  const auto client_key = recover_client_key(message->proof, secret_.stored_key, signed_text);
  // Computed in any case, so that a mock secret takes as long as another.
  const bool genuine = stored_key_of(client_key) == secret_.stored_key;
  if (!genuine || secret_.mock) return fail(errc::wrong_password);

  enter(stage::done);
  return accepted{scram_server_final{.signature = server_signature(secret_.server_key, signed_text)}.encode(),
                  client_key};
}

scram_server_fsm::action scram_server_fsm::fail(errc code) {
  enter(stage::done);
  return failed{code};
}

}  // namespace pgwire
