// What comes before the StartupMessage, whole and in pieces.
#include "protocol/handshake_fsm.hpp"

#include <catch2/catch.hpp>

#include "protocol/byte_reader.hpp"
#include "protocol/writer.hpp"

namespace handshake_fsm_test {

using namespace pgwire;
using namespace std::string_literals;

namespace {

std::string packet(std::uint32_t code, std::string_view body = {}) {
  writer out;
  return out.begin_untyped().u32(code).bytes(body).finish().take();
}
const auto ssl = packet(1234u << 16 | 5679);
const auto gssenc = packet(1234u << 16 | 5680);
const auto startup = packet(3u << 16, "user\0u\0\0"s);

/// Feeds the machine pieces of at most `piece` bytes, never more than it asks for, until it wants something
/// else.
handshake_fsm::action feed(handshake_fsm& machine, handshake_fsm::action action, std::string_view bytes,
                           std::size_t piece = 100000) {
  if (std::holds_alternative<handshake_fsm::look>(action) && !bytes.empty()) {
    action = machine.on_first_byte(as_bytes(bytes).front());
    if (std::holds_alternative<handshake_fsm::failed>(action)) return action;
  }
  while (const auto* read = std::get_if<handshake_fsm::read_exactly>(&action)) {
    if (bytes.empty()) return action;
    const auto next = bytes.substr(0, std::min(read->bytes, piece));
    bytes.remove_prefix(next.size());
    action = machine.on_bytes(as_bytes(next));
  }
  CHECK(bytes.empty());
  return action;
}

errc failure(const handshake_fsm::action& action) { return std::get<handshake_fsm::failed>(action).code; }

}  // namespace

TEST_CASE("a startup message alone, in pieces of every size") {
  for (std::size_t piece = 1; piece <= startup.size(); ++piece) {
    handshake_fsm machine(tls_offer::none);
    const auto action = feed(machine, machine.begin(), startup, piece);
    CHECK(std::get<handshake_fsm::start>(action).message.parameters == parameter_list{{"user", "u"}});
  }
  for (std::size_t cut = 0; cut < startup.size(); ++cut) {
    handshake_fsm machine(tls_offer::none);
    const auto action = feed(machine, machine.begin(), std::string_view(startup).substr(0, cut));
    if (cut == 0) continue;  // it still waits for the first byte
    CHECK(std::get<handshake_fsm::read_exactly>(action).bytes == (cut < 8 ? 8 : startup.size()) - cut);
  }
}

TEST_CASE("encryption requests are declined, each once") {
  handshake_fsm machine(tls_offer::none);
  CHECK(std::get<handshake_fsm::answer>(feed(machine, machine.begin(), gssenc)).byte == 'N');
  CHECK(std::get<handshake_fsm::answer>(feed(machine, machine.on_answered(), ssl)).byte == 'N');
  SECTION("then the startup message") {
    CHECK(std::holds_alternative<handshake_fsm::start>(feed(machine, machine.on_answered(), startup)));
  }
  SECTION("a second SSLRequest") {
    CHECK(failure(feed(machine, machine.on_answered(), ssl)) == errc::repeated_request);
  }
  SECTION("a second GSSENCRequest") {
    CHECK(failure(feed(machine, machine.on_answered(), gssenc)) == errc::repeated_request);
  }
  SECTION("bytes before the answer") { CHECK(failure(machine.on_early_bytes()) == errc::early_bytes); }
}

TEST_CASE("a cancel request") {
  handshake_fsm machine(tls_offer::none);
  const cancel_key key(5, as_bytes("abcd"));
  CHECK(std::get<handshake_fsm::cancel>(feed(machine, machine.begin(), encode_cancel_request(key))).key == key);
}

TEST_CASE("nonsense at the door") {
  const auto error = [](std::string_view bytes) {
    handshake_fsm machine(tls_offer::none);
    return failure(feed(machine, machine.begin(), bytes));
  };
  CHECK(error("\x16\x03\x01\x02\x00\x01\x00\x01"s) == errc::direct_tls);
  CHECK(error("\0\0\0\7\0\3\0\0"s) == errc::startup_too_short);
  CHECK(error("\0\0\x27\x11\0\3\0\0"s) == errc::startup_too_long);
  CHECK(error("\xff\xff\xff\xff\0\3\0\0"s) == errc::startup_too_long);
  CHECK(error("GET / HT") == errc::startup_too_long);
  CHECK(error(packet(3u << 16)) == errc::missing_terminator);
  CHECK(error(packet(2u << 16, "x")) == errc::unsupported_protocol);
  CHECK(error(packet(1234u << 16 | 5679, "x")) == errc::trailing_bytes);
}

TEST_CASE("TLS where it is on offer: by request, or from the first byte with ALPN") {
  using fsm = handshake_fsm;
  {
    fsm machine(tls_offer::available);
    CHECK(std::get<fsm::answer>(feed(machine, machine.begin(), gssenc)).byte == 'N');
    CHECK(std::get<fsm::answer>(feed(machine, machine.on_answered(), ssl)).byte == 'S');
    CHECK(std::holds_alternative<fsm::start_tls>(machine.on_answered()));
    CHECK(std::holds_alternative<fsm::start>(feed(machine, machine.on_tls(false), startup)));
  }
  const auto hello = std::byte{0x16};
  {
    fsm machine(tls_offer::available);
    CHECK(std::holds_alternative<fsm::start_tls>(machine.on_first_byte(hello)));
    CHECK(std::holds_alternative<fsm::start>(feed(machine, machine.on_tls(true), startup)));
  }
  {
    fsm machine(tls_offer::available);
    machine.on_first_byte(hello);
    CHECK(failure(machine.on_tls(false)) == errc::no_alpn);
  }
  for (const auto& again : {ssl, gssenc}) {  // within TLS there is nothing more to ask for
    fsm machine(tls_offer::available);
    machine.on_first_byte(hello);
    CHECK(failure(feed(machine, machine.on_tls(true), again)) == errc::repeated_request);
  }
}

}  // namespace handshake_fsm_test
