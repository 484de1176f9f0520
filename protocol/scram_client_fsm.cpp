#include "protocol/scram_client_fsm.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <utility>

#include "protocol/base64.hpp"
#include "protocol/byte_reader.hpp"
#include "protocol/password_secret.hpp"
#include "protocol/scram_messages.hpp"

namespace pgwire {

scram_client_fsm::scram_client_fsm(std::span<const std::string_view> offered, std::string client_nonce,
                                   std::optional<std::string> end_point, std::optional<scram_keys> keys)
    : offers_plain_(std::ranges::count(offered, scram_sha_256) != 0),
      offers_plus_(std::ranges::count(offered, scram_sha_256_plus) != 0),
      client_nonce_(std::move(client_nonce)),
      end_point_(std::move(end_point)),
      keys_(std::move(keys)) {
  assert(is_scram_nonce(client_nonce_, most_scram_client_nonce));
}

scram_client_fsm::action scram_client_fsm::initial() {
  if (stage_ != stage::start) return fail(errc::misplaced_message);
  const bool bound = end_point_ && offers_plus_;
  if (!bound && !offers_plain_) return fail(errc::unknown_sasl_mechanism);

  // Without the offer we say that we could have bound, so that a server that did offer it notices.
  const auto unbound = end_point_ ? scram_binding::not_offered : scram_binding::unsupported;
  const scram_client_first message{
      .binding = bound ? scram_binding::bound : unbound, .binding_type = tls_server_end_point, .nonce = client_nonce_};
  binding_ = message.encode_header();
  client_first_bare_ = message.encode_bare();
  start first{bound ? scram_sha_256_plus : scram_sha_256, binding_ + client_first_bare_};
  if (bound) binding_ += *end_point_;
  enter(stage::awaiting_first);
  return first;
}

scram_client_fsm::action scram_client_fsm::on_continue(std::string_view server_first) {
  if (stage_ != stage::awaiting_first) return fail(errc::misplaced_message);
  const auto message = scram_server_first::decode(server_first);
  if (!message) return fail(message.error());
  // It must add something of its own, or an old exchange could be played back to us.
  if (!message->nonce.starts_with(client_nonce_) || message->nonce.size() == client_nonce_.size()) {
    return fail(errc::scram_nonce_mismatch);
  }
  nonce_ = message->nonce;
  server_first_ = server_first;
  if (keys_) return prove();

  std::array<std::byte, most_scram_salt_bytes> salt;
  const auto salt_bytes = base64_decode(message->salt_base64, salt).value_or(0);
  enter(stage::deriving);
  return derive{std::string(as_text(std::span(salt).first(salt_bytes))), message->iterations};
}

scram_client_fsm::action scram_client_fsm::on_derived(const secret_key& salted_password) {
  if (stage_ != stage::deriving) return fail(errc::misplaced_message);
  keys_ = derive_keys(salted_password);
  return prove();
}

scram_client_fsm::action scram_client_fsm::prove() {
  const auto binding = base64_encode(as_bytes(binding_));
  scram_client_final message{.binding_base64 = binding, .nonce = nonce_};
  const auto signed_text = auth_message(client_first_bare_, server_first_, message.encode_without_proof());
  message.proof = client_proof(keys_->client_key, signed_text);
  expected_signature_ = server_signature(keys_->server_key, signed_text);
  keys_.reset();
  enter(stage::awaiting_final);
  return send{message.encode()};
}

scram_client_fsm::action scram_client_fsm::on_final(std::string_view server_final) {
  if (stage_ != stage::awaiting_final) return fail(errc::misplaced_message);
  const auto message = scram_server_final::decode(server_final);
  if (!message) return fail(message.error());
  if (!message->error.empty()) return fail(errc::scram_server_error);
  if (message->signature != expected_signature_) return fail(errc::server_not_genuine);
  enter(stage::done);
  return authenticated{};
}

scram_client_fsm::action scram_client_fsm::fail(errc code) {
  enter(stage::done);
  keys_.reset();
  return failed{code};
}

}  // namespace pgwire
