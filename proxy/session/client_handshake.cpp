#include "proxy/session/client_handshake.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "protocol/handshake_fsm.hpp"

namespace proxy {
namespace {

// Most packets fit, and a client that says nothing costs no more.
constexpr std::size_t read_at_once = 512;

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

task<std::expected<std::byte, ending>> first_byte(transport& client) {
  for (;;) {
    if (const auto first = client.peek()) co_return *first;
    if (client.peer_closed()) co_return std::unexpected(ending::quiet("the client left before it said anything"));
    auto [error] = co_await client.wait_readable();
    if (error) co_return std::unexpected(ending::quiet("the client said nothing"));
  }
}

}  // namespace

task<std::expected<opening, ending>> greet(transport& client, const door_tls* door) {
  using fsm = pgwire::handshake_fsm;
  fsm handshake(door != nullptr ? pgwire::tls_offer::available : pgwire::tls_offer::none);
  std::array<std::byte, read_at_once> packet;
  fsm::action next = handshake.begin();
  for (;;) {
    if (std::holds_alternative<fsm::look>(next)) {
      auto first = co_await first_byte(client);
      if (!first) co_return std::unexpected(std::move(first.error()));
      next = handshake.on_first_byte(*first);
    } else if (const auto* read = std::get_if<fsm::read_exactly>(&next)) {
      const auto wanted = std::span(packet).first(std::min(read->bytes, packet.size()));
      const filled outcome = co_await fill(client, wanted);
      if (outcome != filled::yes) co_return std::unexpected(ending::quiet("the client left during its startup"));
      next = handshake.on_bytes(wanted);
    } else if (const auto* answer = std::get_if<fsm::answer>(&next)) {
      if (client.peek()) {
        next = handshake.on_early_bytes();
        continue;
      }
      const std::array<std::byte, 1> byte{static_cast<std::byte>(answer->byte)};
      if (!co_await client.write_all(byte)) co_return std::unexpected(ending::quiet("the client left"));
      next = handshake.on_answered();
    } else if (std::holds_alternative<fsm::start_tls>(next)) {
      const auto secured = co_await client.secure(door->accept_on(client.descriptor()));
      if (!secured) co_return std::unexpected(ending::quiet("no TLS came about: " + secured.error().why));
      next = handshake.on_tls(speaks_postgresql(client.tls()));
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
