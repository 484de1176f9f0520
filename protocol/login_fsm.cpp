#include "protocol/login_fsm.hpp"

#include "protocol/backend_messages.hpp"
#include "protocol/error_response.hpp"
#include "protocol/frame_scanner.hpp"

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

}  // namespace

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
  if (message->request == asked_for::ok) {
    stage_ = stage::starting;
    return keep{};
  }
  if (mode_ == login_mode::trust) return wants_secret{method_name(message->request)};
  switch (message->request) {
    case asked_for::sasl_final:
    case asked_for::gss_continue:
      // A Kerberos server's last token is not answered, and in practice it is its only one.
      client_involved_ = true;
      return forward_to_client{};
    case asked_for::kerberos_v5:
    case asked_for::scm_credential: return failed{errc::bad_field};  // no server since PostgreSQL 9.4 asks for them
    default:
      client_involved_ = true;
      client_asked_ = true;
      return ask_client{};
  }
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
