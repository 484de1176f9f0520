#include "proxy/session/secure_server.hpp"

#include <array>
#include <utility>

#include "protocol/startup.hpp"

namespace proxy {
namespace {

// The one byte that answers an SSLRequest; nothing if the server closed or the wait was cancelled.
task<std::optional<char>> read_answer(transport& server) {
  std::array<std::byte, 1> answer{};
  for (;;) {
    const io_result read = server.read_some(answer);
    if (read.status == io_status::done) co_return static_cast<char>(answer.front());
    if (read.status != io_status::would_block) co_return std::nullopt;
    auto [cancelled] = co_await server.wait_readable();
    if (cancelled) co_return std::nullopt;
  }
}

std::unexpected<not_secured> failed(std::string why) { return std::unexpected(not_secured{std::move(why)}); }
std::unexpected<not_secured> lost(std::string why) { return std::unexpected(not_secured{std::move(why), false, true}); }

}  // namespace

task<std::expected<void, not_secured>> secure_server(transport& server, const server_access& how,
                                                     routing::tls_mode mode, const std::string& host) {
  std::expected<void, not_secured> done;
  if (mode == routing::tls_mode::disable || host.starts_with('/')) co_return done;
  const std::string request = pgwire::encode_ssl_request();
  if (!co_await server.write_all(as_bytes(request))) co_return lost("the connection broke");
  const auto answer = co_await read_answer(server);
  if (!answer) co_return lost("it closed when it was asked for TLS");
  if (*answer == 'N' && mode == routing::tls_mode::prefer) co_return done;
  if (*answer == 'N') co_return failed("it does not offer TLS, which servers.*.tls.mode demands");
  if (*answer != 'S') co_return failed("it gave no answer of the protocol when asked for TLS");
  // Whatever is there already was not sent by TLS, and must not be read as if it were (CVE-2021-23222).
  if (server.peek()) co_return failed("it sent bytes before TLS that nobody asked for");
  auto secured = co_await server.secure(how.tls->connect_on(server.descriptor(), host));
  if (!secured) {
    const no_tls& why = secured.error();
    co_return std::unexpected(not_secured{"no TLS came about: " + why.why, true, why.lost});
  }
  co_return done;
}

}  // namespace proxy
