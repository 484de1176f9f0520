#include "proxy/session/farewell.hpp"

namespace proxy {

task<void> say_farewell(worker& home, transport& client, std::string_view words) {
  if (!co_await client.write_all(as_bytes(words))) co_return;
  client.shut_write();
  for (;;) {
    const io_result read = client.read_some(home.scratch());
    if (read.status == io_status::done) continue;
    if (read.status != io_status::would_block) co_return;
    auto [error] = co_await client.wait_readable();
    if (error) co_return;
  }
}

}  // namespace proxy
