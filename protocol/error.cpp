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
    case errc::direct_tls: return {protocol_violation, "direct TLS connections are not supported"};
    case errc::bad_options: return {syntax_error, "options: -c and -- need a name and a value"};
  }
  std::unreachable();
}

// One static row per errc, so that a reference can be given out.
constexpr std::size_t rows = static_cast<std::size_t>(errc::bad_options) + 1;

template <std::size_t... I>
constexpr auto make_table(std::index_sequence<I...>) {
  return std::array<error_info, rows>{info(static_cast<errc>(I))...};
}
constexpr auto table = make_table(std::make_index_sequence<rows>{});

}  // namespace

const error_info& describe(errc code) { return table[static_cast<std::size_t>(code)]; }

}  // namespace pgwire
