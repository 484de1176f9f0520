// The first packets of a connection, which have no type byte: StartupMessage, SSLRequest, GSSENCRequest and
// CancelRequest (PostgreSQL docs, 55.2.1, 55.7), and what a server answers to a version it does not speak.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/cancel_key.hpp"
#include "protocol/error.hpp"

namespace pgwire {

/// The server's own bounds on a startup packet (MAX_STARTUP_PACKET_LENGTH), its length field included.
inline constexpr std::uint32_t least_startup_length = 8;
inline constexpr std::uint32_t most_startup_length = 10000;

/// A protocol version as it stands in the packet: major in the upper 16 bits.
struct protocol_version {
  std::uint16_t major = 3;
  std::uint16_t minor = 0;
  friend bool operator==(protocol_version, protocol_version) = default;
  [[nodiscard]] std::uint32_t number() const { return std::uint32_t{major} << 16 | minor; }
};

using parameter = std::pair<std::string, std::string>;
using parameter_list = std::vector<parameter>;

/// What a client asks for. Parameters keep their order; `user` is never empty.
struct startup_message {
  protocol_version version;
  parameter_list parameters;  ///< with user and database, without the _pq_. options

  /// The value of a parameter, or null. Names are compared exactly, as the server does.
  [[nodiscard]] const std::string* find(std::string_view name) const;

  std::vector<std::string> protocol_options;  ///< names that begin with "_pq_."
  friend bool operator==(const startup_message&, const startup_message&) = default;
};

struct ssl_request {};
struct gssenc_request {};
struct cancel_request {
  cancel_key key;
};

using first_packet = std::variant<startup_message, ssl_request, gssenc_request, cancel_request>;

/// Reads one whole packet, its length field included; `packet` must be exactly as long as that field says.
/// Errors: every startup_* one, unsupported_protocol, duplicate_parameter, empty_parameter_name, no_user,
/// missing_terminator, trailing_bytes, bad_length (a cancel request's secret of less than 4 or more than 256
/// bytes).
result<first_packet> parse_first_packet(std::span<const std::byte> packet);

/// What is spoken with a client that asked for `asked`, and what it must be told first.
struct negotiated {
  protocol_version version;          ///< 3.0 or 3.2
  bool must_tell = false;            ///< NegotiateProtocolVersion goes out before anything else
  std::vector<std::string> unknown;  ///< the protocol options it asked for that are not known
};
/// Newest is 3.2; 3.1 was never used and counts as 3.0. Every _pq_. option is unknown.
negotiated negotiate(const startup_message& asked);

/// The whole packet.
std::string encode_startup(protocol_version version, const parameter_list& parameters);
std::string encode_ssl_request();
std::string encode_cancel_request(const cancel_key& key);
/// A whole NegotiateProtocolVersion message: the newest version spoken, as a whole number, and the unknown
/// options.
std::string encode_negotiate(const negotiated& outcome);

}  // namespace pgwire
