#include "proxy/session/forward_cancel.hpp"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <memory>
#include <utility>

#include "protocol/startup.hpp"
#include "proxy/session/secure_server.hpp"

namespace proxy {

task<void> forward_cancel(dial& dialling, transport& server, cancel_registry::request& what) {
  const cancel_target& target = *what;
  const auto connected = co_await dialling.connect(target.server);
  if (!connected) co_return;
  // The key that cancels is worth as much as what it cancels: it goes as that goes.
  const auto secured = co_await secure_server(server, *target.how, target.mode, target.host);
  if (!secured) co_return;
  const std::string packet = pgwire::encode_cancel_request(target.server_key);
  what.sent();
  if (!co_await server.write_all(as_bytes(packet))) co_return;
  std::array<std::byte, 64> ignored;
  for (;;) {
    const io_result read = server.read_some(ignored);
    if (read.status == io_status::end) co_return what.seen_to();
    if (read.status == io_status::failed) co_return;
    if (read.status == io_status::would_block) {
      auto [error] = co_await server.wait_readable();
      if (error) co_return;
    }
  }
}

namespace {

constexpr std::chrono::seconds most_sending{10};

// A cancellation is lost on a wait that had just ended.
constexpr std::chrono::milliseconds again_after{100};

struct sending {
  sending(asio::io_context& home, cancel_registry::request request)
      : what(std::move(request)), server(home), dialling(home, server), bound(home) {}
  cancel_registry::request what;
  transport server;
  dial dialling;
  timer bound;
  bool over = false;
};

void stop_after(const std::shared_ptr<sending>& job, clock::duration time) {
  job->bound.expires_after(time);
  job->bound.async_wait([job](error_code) {
    if (job->over) return;
    job->dialling.cancel();
    stop_after(job, again_after);
  });
}

}  // namespace

void send_cancel(asio::io_context& home, cancel_registry::request what) {
  auto job = std::make_shared<sending>(home, std::move(what));
  stop_after(job, most_sending);
  auto run = [](std::shared_ptr<sending> it) -> task<void> {
    co_await forward_cancel(it->dialling, it->server, it->what);
    it->over = true;
    it->bound.cancel();
  };
  asio::co_spawn(home, run(job), asio::detached);
}

}  // namespace proxy
