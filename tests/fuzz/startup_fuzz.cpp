// The first packets, fed as the handshake asks for them: what it accepts, it writes and reads back the same.
#include <algorithm>
#include <cstdlib>

#include "protocol/byte_reader.hpp"
#include "protocol/handshake_fsm.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using namespace pgwire;
  auto rest = std::as_bytes(std::span(data, size));
  handshake_fsm machine(size % 2 == 0 ? tls_offer::none : tls_offer::available);
  auto action = machine.begin();
  while (true) {
    if (std::holds_alternative<handshake_fsm::look>(action)) {
      if (rest.empty()) return 0;
      action = machine.on_first_byte(rest.front());
    } else if (std::holds_alternative<handshake_fsm::start_tls>(action)) {
      action = machine.on_tls(size % 3 == 0);
    } else if (const auto* read = std::get_if<handshake_fsm::read_exactly>(&action)) {
      if (read->bytes == 0 || read->bytes > most_startup_length) std::abort();
      if (rest.size() < read->bytes) return 0;
      const auto bytes = rest.first(read->bytes);
      rest = rest.subspan(bytes.size());
      action = machine.on_bytes(bytes);
    } else if (std::holds_alternative<handshake_fsm::answer>(action)) {
      action = machine.on_answered();
    } else {
      break;
    }
  }
  if (const auto* start = std::get_if<handshake_fsm::start>(&action)) {
    encode_negotiate(negotiate(start->message));
    const auto text = encode_startup(start->message.version, start->message.parameters);
    const auto again = parse_first_packet(as_bytes(text));
    if (!again || std::get<startup_message>(*again).parameters != start->message.parameters) std::abort();
  }
  return 0;
}
