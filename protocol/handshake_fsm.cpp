#include "protocol/handshake_fsm.hpp"

#include "protocol/byte_reader.hpp"

namespace pgwire {
namespace {

constexpr auto tls_handshake_record = std::byte{0x16};
constexpr std::size_t head_bytes = 8;  // length, and version or request code

}  // namespace

handshake_fsm::action handshake_fsm::read_packet() const { return read_exactly{head_bytes}; }

handshake_fsm::action handshake_fsm::on_first_byte(std::byte first) {
  if (first != tls_handshake_record) return read_packet();
  if (offer_ == tls_offer::none) return failed{errc::direct_tls};
  encryption_ = encryption::direct;
  return start_tls{};
}

handshake_fsm::action handshake_fsm::on_bytes(std::span<const std::byte> bytes) {
  packet_ += as_text(bytes);
  const auto packet = as_bytes(packet_);
  if (packet.size() < head_bytes) return read_exactly{head_bytes - packet.size()};
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
  const bool wants_tls = std::holds_alternative<ssl_request>(*parsed);
  bool& seen = wants_tls ? ssl_seen_ : gssenc_seen_;
  if (seen || encryption_ == encryption::complete) return failed{errc::repeated_request};
  seen = true;
  if (!wants_tls || offer_ == tls_offer::none) return answer{'N'};
  encryption_ = encryption::agreed;
  return answer{'S'};
}

handshake_fsm::action handshake_fsm::on_answered() const {
  if (encryption_ == encryption::agreed) return start_tls{};
  return read_packet();
}

handshake_fsm::action handshake_fsm::on_tls(bool alpn_chosen) {
  const bool was_direct = encryption_ == encryption::direct;
  encryption_ = encryption::complete;
  if (was_direct && !alpn_chosen) return failed{errc::no_alpn};
  return read_packet();
}

}  // namespace pgwire
