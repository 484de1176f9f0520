#include "protocol/startup.hpp"

#include <algorithm>

#include "protocol/byte_reader.hpp"
#include "protocol/message_type.hpp"
#include "protocol/writer.hpp"

namespace pgwire {
namespace {

// Instead of a version, in the numbers of PostgreSQL's pqcomm.h.
constexpr std::uint32_t cancel_code = 1234u << 16 | 5678;
constexpr std::uint32_t ssl_code = 1234u << 16 | 5679;
constexpr std::uint32_t gssenc_code = 1234u << 16 | 5680;

constexpr std::size_t least_cancel_secret = 4;
constexpr std::string_view protocol_option_prefix = "_pq_.";

result<first_packet> parse_cancel(byte_view body) {
  if (body.size() < 4 + least_cancel_secret || body.size() > 4 + cancel_key::most_secret_bytes) {
    return std::unexpected(errc::bad_length);
  }
  return cancel_request{cancel_key(static_cast<std::int32_t>(load_u32(body.data())), body.subspan(4))};
}

result<first_packet> parse_startup(protocol_version version, byte_view body) {
  startup_message message{.version = version, .parameters = {}, .protocol_options = {}};
  byte_reader in(body);
  while (in.ok()) {
    const auto name = in.cstring();
    if (!in.ok()) break;
    if (name.empty()) {
      // The list's end, unless it goes on like a list: then this was a name.
      if (!in.at_end()) {
        const auto rest = in.remaining();
        in.fail(rest.size() >= 2 && rest.back() == '\0' ? errc::empty_parameter_name : errc::trailing_bytes);
      }
      break;
    }
    const auto value = in.cstring();
    if (!in.ok()) break;
    if (name.starts_with(protocol_option_prefix)) {
      if (std::ranges::find(message.protocol_options, name) != message.protocol_options.end()) {
        in.fail(errc::duplicate_parameter);
      }
      message.protocol_options.emplace_back(name);
    } else {
      if (message.find(name)) in.fail(errc::duplicate_parameter);
      message.parameters.emplace_back(name, value);
    }
  }
  const auto* user = message.find("user");
  if (in.ok() && (!user || user->empty())) in.fail(errc::no_user);
  return in.finish(first_packet(std::move(message)));
}

}  // namespace

const std::string* startup_message::find(std::string_view name) const {
  const auto found = std::ranges::find(parameters, name, &parameter::first);
  return found == parameters.end() ? nullptr : &found->second;
}

result<first_packet> parse_first_packet(std::span<const std::byte> packet) {
  if (packet.size() < least_startup_length) return std::unexpected(errc::startup_too_short);
  if (packet.size() > most_startup_length) return std::unexpected(errc::startup_too_long);
  if (load_u32(packet.data()) != packet.size()) return std::unexpected(errc::bad_length);
  const auto code = load_u32(packet.data() + 4);
  const auto body = packet.subspan(8);
  if (code == cancel_code) return parse_cancel(body);
  if (code == ssl_code || code == gssenc_code) {
    if (!body.empty()) return std::unexpected(errc::trailing_bytes);
    if (code == ssl_code) return ssl_request{};
    return gssenc_request{};
  }
  const protocol_version version{static_cast<std::uint16_t>(code >> 16), static_cast<std::uint16_t>(code)};
  if (version.major != 3) return std::unexpected(errc::unsupported_protocol);
  return parse_startup(version, body);
}

negotiated negotiate(const startup_message& asked) {
  const std::uint16_t minor = asked.version.minor >= 2 ? 2 : 0;
  return {.version = {3, minor},
          .must_tell = asked.version.minor > 2 || !asked.protocol_options.empty(),
          .unknown = asked.protocol_options};
}

std::string encode_startup(protocol_version version, const parameter_list& parameters) {
  writer out;
  out.begin_untyped().u32(version.number());
  for (const auto& [name, value] : parameters) out.cstring(name).cstring(value);
  return out.u8(0).finish().take();
}

std::string encode_ssl_request() {
  writer out;
  return out.begin_untyped().u32(ssl_code).finish().take();
}

std::string encode_cancel_request(const cancel_key& key) {
  writer out;
  return out.begin_untyped().u32(cancel_code).i32(key.process_id()).bytes(as_text(key.secret())).finish().take();
}

std::string encode_negotiate(const negotiated& outcome) {
  writer out;
  out.begin(backend_type::negotiate_protocol_version).u32(outcome.version.number());
  out.u32(static_cast<std::uint32_t>(outcome.unknown.size()));
  for (const auto& name : outcome.unknown) out.cstring(name);
  return out.finish().take();
}

}  // namespace pgwire
