#include "protocol/error.hpp"

#include <array>
#include <cstddef>
#include <utility>

#include "protocol/sqlstate.hpp"

namespace pgwire {
namespace {

constexpr error_info info(errc code) {
  using namespace sqlstate;
  switch (code) {
    case errc::truncated: return {protocol_violation, "insufficient data left in message"};
    case errc::trailing_bytes: return {protocol_violation, "unexpected bytes after the end of a message"};
    case errc::missing_terminator: return {protocol_violation, "missing string terminator in message"};
    case errc::bad_length: return {protocol_violation, "invalid message length"};
    case errc::unknown_message_type: return {protocol_violation, "unknown message type"};
    case errc::misplaced_message: return {protocol_violation, "message does not belong here"};
    case errc::bad_field: return {protocol_violation, "invalid value in message"};
    case errc::startup_too_short: return {protocol_violation, "startup packet is too short"};
    case errc::startup_too_long: return {protocol_violation, "startup packet is too long"};
    case errc::unsupported_protocol: return {feature_not_supported, "unsupported frontend protocol"};
    case errc::duplicate_parameter: return {protocol_violation, "startup parameter given twice"};
    case errc::empty_parameter_name: return {protocol_violation, "startup parameter without a name"};
    case errc::no_user: return {invalid_authorization, "no PostgreSQL user name specified in startup packet"};
    case errc::early_bytes: return {protocol_violation, "received data before the answer to an encryption request"};
    case errc::repeated_request: return {protocol_violation, "encryption requested twice"};
    case errc::direct_tls: return {protocol_violation, "this listener does not speak TLS"};
    case errc::no_alpn: return {protocol_violation, "a direct TLS connection without ALPN protocol \"postgresql\""};
    case errc::bad_options: return {syntax_error, "options: -c and -- need a name and a value"};
    case errc::malformed_scram: return {protocol_violation, "malformed SCRAM message"};
    case errc::unknown_sasl_mechanism: return {protocol_violation, "SASL mechanism is not supported"};
    case errc::scram_authzid: return {feature_not_supported, "authorization identity is not supported"};
    case errc::scram_extension: return {feature_not_supported, "a SCRAM extension is required that is not supported"};
    case errc::scram_binding_type: return {protocol_violation, "unsupported SCRAM channel-binding type"};
    case errc::scram_downgrade: return {invalid_authorization, "SCRAM channel binding negotiation error"};
    case errc::scram_binding_mismatch: return {invalid_authorization, "SCRAM channel binding check failed"};
    case errc::scram_nonce_mismatch: return {protocol_violation, "SCRAM nonce does not match"};
    case errc::scram_iterations: return {protocol_violation, "SCRAM iteration count is out of range"};
    case errc::scram_server_error: return {invalid_authorization, "the server refused the SCRAM exchange"};
    case errc::server_not_genuine: return {invalid_authorization, "the server's SCRAM signature is wrong"};
    case errc::wrong_password: return {invalid_password, "password authentication failed"};
    case errc::md5_unavailable: return {feature_not_supported, "MD5 is not available"};
    case errc::bad_password_secret: return {internal_error, "stored password secret cannot be used"};
  }
  std::unreachable();
}

// One static row per errc, so that a reference can be given out.
constexpr std::size_t rows = static_cast<std::size_t>(errc::bad_password_secret) + 1;

template <std::size_t... I>
constexpr auto make_table(std::index_sequence<I...>) {
  return std::array<error_info, rows>{info(static_cast<errc>(I))...};
}
constexpr auto table = make_table(std::make_index_sequence<rows>{});

}  // namespace

const error_info& describe(errc code) { return table[static_cast<std::size_t>(code)]; }

}  // namespace pgwire
