#include "protocol/login_fsm.hpp"

#include <algorithm>

#include "protocol/error_response.hpp"
#include "protocol/frame_scanner.hpp"
#include "protocol/frontend_messages.hpp"

namespace pgwire {
namespace {

using asked_for = backend::authentication::kind;

std::string method_name(asked_for asked) {
  switch (asked) {
    case asked_for::cleartext_password: return "password";
    case asked_for::md5_password: return "md5";
    case asked_for::gss:
    case asked_for::gss_continue: return "gss";
    case asked_for::sspi: return "sspi";
    case asked_for::sasl:
    case asked_for::sasl_continue:
    case asked_for::sasl_final: return "scram-sha-256";
    default: return "authentication method " + std::to_string(static_cast<std::uint32_t>(asked));
  }
}

bool too_long(std::span<const std::byte> body) { return body.size() + 4 > most_login_message; }

constexpr std::string_view plus_suffix = "-PLUS";

template <class Keys>
bool has_keys(const server_credentials& with) {
  return with.keys && std::holds_alternative<Keys>(*with.keys);
}

// Of a message that may hold a secret; the text that it was built in is wiped.
secret_string secret_message(std::string built) {
  secret_string kept(built);
  wipe(std::as_writable_bytes(std::span(built)));
  return kept;
}

}  // namespace

login_fsm::login_fsm(server_credentials with, std::string nonce, std::optional<std::string> end_point)
    : credentials_(std::move(with)), nonce_(std::move(nonce)), end_point_(std::move(end_point)) {}

login_fsm::action login_fsm::on_server_message(char type, std::span<const std::byte> body) {
  if (too_long(body)) return failed{errc::bad_length};
  if (stage_ == stage::done || client_asked_) return failed{errc::misplaced_message};
  switch (type) {
    case backend_type::notice_response: return keep{};
    case backend_type::error_response: return on_error(body);
    case backend_type::authentication:
      if (stage_ != stage::authenticating) return failed{errc::misplaced_message};
      return on_authentication(body);
    case backend_type::parameter_status:
    case backend_type::backend_key_data:
    case backend_type::ready_for_query:
      if (stage_ != stage::starting) return failed{errc::misplaced_message};
      return on_start(type, body);
    default: {
      const auto& rule = backend_rules().of[static_cast<std::uint8_t>(type)];
      return failed{rule.most_length == 0 ? rule.fault : errc::misplaced_message};
    }
  }
}

login_fsm::action login_fsm::on_error(std::span<const std::byte> body) {
  stage_ = stage::done;
  const auto fields = parse_error_fields(body);
  if (!fields) return failed{fields.error()};
  return server_error{std::string(fields->code), std::string(fields->message)};
}

login_fsm::action login_fsm::on_authentication(std::span<const std::byte> body) {
  const auto message = backend::authentication::decode(body);
  if (!message) return failed{message.error()};
  if (message->request != asked_for::ok) return credentials_ ? answer(*message) : pass_on(*message);
  // Whoever cannot prove that it knows the role's secret is not the server, whatever it says.
  if (scram_ && !scram_done_) return failed{errc::server_not_genuine};
  stage_ = stage::starting;
  return keep{};
}

login_fsm::action login_fsm::pass_on(const backend::authentication& asked) {
  switch (asked.request) {
    case asked_for::sasl_final:
    case asked_for::gss_continue:
      // A Kerberos server's last token is not answered, and in practice it is its only one.
      client_involved_ = true;
      return forward_to_client{};
    case asked_for::kerberos_v5:
    case asked_for::scm_credential: return failed{errc::bad_field};  // no server since PostgreSQL 9.4 asks for them
    default: break;
  }
  client_involved_ = true;
  client_asked_ = true;
  // The client's channel ends at the lodge: bound to it, it could not log in at the server.
  auto offer = asked;
  const auto bound = [](std::string_view mechanism) { return mechanism.ends_with(plus_suffix); };
  if (std::erase_if(offer.mechanisms, bound) == 0) return ask_client{};
  plus_withheld_ = true;
  return ask_client{offer.encode()};
}

login_fsm::action login_fsm::answer(const backend::authentication& asked) {
  switch (asked.request) {
    case asked_for::cleartext_password:
      if (!credentials_->password) break;
      return reply{secret_message(frontend::password{credentials_->password->view()}.encode())};
    case asked_for::md5_password:
      if (!credentials_->password && !has_keys<md5_secret>(*credentials_)) break;
      return answer_md5(as_bytes(asked.data));
    case asked_for::sasl:
      if (!credentials_->password && !has_keys<scram_keys>(*credentials_)) break;
      return begin_scram(asked);
    case asked_for::sasl_continue:
      if (!scram_) return failed{errc::misplaced_message};
      return follow(scram_->on_continue(asked.data));
    case asked_for::sasl_final:
      if (!scram_) return failed{errc::misplaced_message};
      return follow(scram_->on_final(asked.data));
    default: break;
  }
  return wants_secret{method_name(asked.request)};
}

// A password also fits a server that keeps another secret of it, so it goes first, here and below.
login_fsm::action login_fsm::answer_md5(byte_view salt) {
  const password_secret secret = credentials_->password ? password_secret(plain_secret{*credentials_->password})
                                                        : password_secret(std::get<md5_secret>(*credentials_->keys));
  const auto digest = md5_answer(secret, credentials_->role, salt);
  if (!digest) return failed{digest.error()};
  return reply{secret_message(frontend::password{digest->view()}.encode())};
}

login_fsm::action login_fsm::begin_scram(const backend::authentication& asked) {
  if (scram_) return failed{errc::misplaced_message};
  std::optional<scram_keys> keys;
  if (!credentials_->password) keys = std::get<scram_keys>(*credentials_->keys);
  scram_.emplace(asked.mechanisms, nonce_, end_point_, keys);
  return follow(scram_->initial());
}

login_fsm::action login_fsm::follow(const scram_client_fsm::action& next) {
  if (const auto* start = std::get_if<scram_client_fsm::start>(&next)) {
    return reply{secret_string(frontend::sasl_initial_response{start->mechanism, start->client_first}.encode())};
  }
  if (const auto* slow = std::get_if<scram_client_fsm::derive>(&next)) return derive{slow->salt, slow->iterations};
  if (const auto* send = std::get_if<scram_client_fsm::send>(&next)) {
    return reply{secret_string(frontend::sasl_response{send->client_final}.encode())};
  }
  if (const auto* why = std::get_if<scram_client_fsm::failed>(&next)) return failed{why->code};
  scram_done_ = true;
  return proceed{};
}

login_fsm::action login_fsm::on_derived(const secret_key& salted_password) {
  if (!scram_) return failed{errc::misplaced_message};
  return follow(scram_->on_derived(salted_password));
}

login_fsm::action login_fsm::on_start(char type, std::span<const std::byte> body) {
  if (type == backend_type::parameter_status) {
    const auto message = backend::parameter_status::decode(body);
    if (!message) return failed{message.error()};
    if (message->name == "in_hot_standby") standby_ = message->value == "on";
    return keep{};
  }
  if (type == backend_type::backend_key_data) {
    const auto message = backend::backend_key_data::decode(body);
    if (!message) return failed{message.error()};
    return key{message->key};
  }
  const auto message = backend::ready_for_query::decode(body);
  if (!message) return failed{message.error()};
  stage_ = stage::done;
  return ready{};
}

std::optional<errc> login_fsm::on_client_message(char type, std::span<const std::byte> body) {
  if (!client_asked_ || type != frontend_type::authentication) return errc::misplaced_message;
  if (too_long(body)) return errc::bad_length;
  client_asked_ = false;
  return std::nullopt;
}

}  // namespace pgwire
