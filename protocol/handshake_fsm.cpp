#include "protocol/handshake_fsm.hpp"

#include "protocol/byte_reader.hpp"

namespace pgwire {
namespace {

constexpr auto tls_handshake_record = std::byte{0x16};
constexpr std::size_t head_bytes = 8;  // length, and version or request code

}  // namespace

handshake_fsm::action handshake_fsm::begin() { return read_exactly{head_bytes}; }

handshake_fsm::action handshake_fsm::on_bytes(std::span<const std::byte> bytes) {
  packet_ += as_text(bytes);
  const auto packet = as_bytes(packet_);
  if (packet.size() < head_bytes) return read_exactly{head_bytes - packet.size()};
  if (packet[0] == tls_handshake_record) return failed{errc::direct_tls};
  const auto length = load_u32(packet.data());
  if (length < least_startup_length) return failed{errc::startup_too_short};
  if (length > most_startup_length) return failed{errc::startup_too_long};
  // Read to the end even where its head says that it will be refused: closing a socket with unread bytes in
  // it resets the connection, and the client would not see why.
  if (packet.size() < length) return read_exactly{length - packet.size()};

  auto parsed = parse_first_packet(packet);
  packet_ = {};
  if (!parsed) return failed{parsed.error()};
  if (auto* message = std::get_if<startup_message>(&*parsed)) return start{std::move(*message)};
  if (const auto* request = std::get_if<cancel_request>(&*parsed)) return cancel{request->key};
  bool& seen = std::holds_alternative<ssl_request>(*parsed) ? ssl_seen_ : gssenc_seen_;
  if (seen) return failed{errc::repeated_request};
  seen = true;
  return answer{'N'};
}

handshake_fsm::action handshake_fsm::on_early_bytes() { return failed{errc::early_bytes}; }

handshake_fsm::action handshake_fsm::on_answered() { return begin(); }

}  // namespace pgwire
