#include "proxy/session/client_handshake.hpp"

#include <array>
#include <optional>

#include "protocol/handshake_fsm.hpp"

namespace proxy {
namespace {

enum class filled { yes, closed, broken };

task<filled> fill(transport& client, std::span<std::byte> wanted) {
  while (!wanted.empty()) {
    const io_result read = client.read_some(wanted);
    wanted = wanted.subspan(read.bytes);
    if (read.status == io_status::end) co_return filled::closed;
    if (read.status == io_status::failed) co_return filled::broken;
    if (read.status == io_status::would_block) {
      auto [error] = co_await client.wait_readable();
      if (error) co_return filled::broken;
    }
  }
  co_return filled::yes;
}

}  // namespace

task<std::expected<opening, ending>> greet(transport& client) {
  using fsm = pgwire::handshake_fsm;
  fsm handshake;
  std::array<std::byte, pgwire::most_startup_length> packet;
  fsm::action next = handshake.begin();
  for (;;) {
    if (const auto* read = std::get_if<fsm::read_exactly>(&next)) {
      const auto wanted = std::span(packet).first(read->bytes);
      const filled outcome = co_await fill(client, wanted);
      if (outcome != filled::yes) co_return std::unexpected(ending::quiet("the client left during its startup"));
      next = handshake.on_bytes(wanted);
    } else if (const auto* answer = std::get_if<fsm::answer>(&next)) {
      if (client.has_input() && !client.peer_closed()) {
        next = handshake.on_early_bytes();
        continue;
      }
      const std::array<std::byte, 1> byte{static_cast<std::byte>(answer->byte)};
      if (!co_await client.write_all(byte)) co_return std::unexpected(ending::quiet("the client left"));
      next = handshake.on_answered();
    } else if (auto* start = std::get_if<fsm::start>(&next)) {
      co_return opening(std::move(start->message));
    } else if (const auto* cancel = std::get_if<fsm::cancel>(&next)) {
      co_return opening(cancel->key);
    } else {
      co_return std::unexpected(ending::of(std::get<fsm::failed>(next).code));
    }
  }
}

}  // namespace proxy
