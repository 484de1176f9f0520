#include "proxy/session/forward_cancel.hpp"

#include <array>

#include "protocol/startup.hpp"
#include "proxy/session/secure_server.hpp"

namespace proxy {

task<void> forward_cancel(dial& dialling, transport& server, const cancel_target& target) {
  const auto connected = co_await dialling.connect(target.server);
  if (!connected) co_return;
  // The key that cancels is worth as much as what it cancels: it goes as that goes.
  const auto secured = co_await secure_server(server, *target.how, target.mode, target.host);
  if (!secured) co_return;
  const std::string packet = pgwire::encode_cancel_request(target.server_key);
  if (!co_await server.write_all(as_bytes(packet))) co_return;
  std::array<std::byte, 64> ignored;
  for (;;) {
    const io_result read = server.read_some(ignored);
    if (read.status == io_status::end || read.status == io_status::failed) co_return;
    if (read.status == io_status::would_block) {
      auto [error] = co_await server.wait_readable();
      if (error) co_return;
    }
  }
}

}  // namespace proxy
