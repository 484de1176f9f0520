#include "proxy/session/forward_cancel.hpp"

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <memory>
#include <utility>

#include "protocol/startup.hpp"
#include "proxy/session/secure_server.hpp"
#include "proxy/worker.hpp"

namespace proxy {

task<bool> deliver_cancel(dial& dialling, transport& server, const cancel_target& target,
                          const std::function<void()>& sent) {
  const auto connected = co_await dialling.connect(target.server);
  if (!connected) co_return false;
  // The key that cancels is worth as much as what it cancels: it goes as that goes.
  const auto secured = co_await secure_server(server, *target.how, target.mode, target.host);
  if (!secured) co_return false;
  const std::string packet = pgwire::encode_cancel_request(target.server_key);
  if (sent) sent();
  if (!co_await server.write_all(as_bytes(packet))) co_return false;
  std::array<std::byte, 64> ignored;
  for (;;) {
    const io_result read = server.read_some(ignored);
    if (read.status == io_status::end) co_return true;
    if (read.status == io_status::failed) co_return false;
    if (read.status == io_status::would_block) {
      auto [error] = co_await server.wait_readable();
      if (error) co_return false;
    }
  }
}

task<void> forward_cancel(dial& dialling, transport& server, cancel_registry::request& what) {
  const std::function<void()> sent = [&what] { what.sent(); };
  if (co_await deliver_cancel(dialling, server, *what, sent)) what.seen_to();
}

namespace {

// How often it is looked whether a cancel request has arrived that was on its way.
constexpr std::chrono::milliseconds cancel_poll{5};

}  // namespace

task<bool> cancels_settled(asio::io_context& home, cancel_registry::handle& key,
                           const std::shared_ptr<const cancel_target>& at) {
  timer pause(home);
  while (key.busy()) {
    pause.expires_after(cancel_poll);
    co_await pause.async_wait(no_throw);
  }
  co_return !key.take_doubt(at);
}

namespace {

constexpr std::chrono::seconds most_running{10};

// A cancellation is lost on a wait that had just ended.
constexpr std::chrono::milliseconds again_after{100};

struct running_errand {
  running_errand(worker& home, cancel_errand what, std::function<void()> after)
      : errand(std::move(what)),
        done(std::move(after)),
        server(home.context()),
        dialling(home, server),
        bound(home.context()) {}
  cancel_errand errand;
  std::function<void()> done;
  transport server;
  dial dialling;
  timer bound;
  bool over = false;
};

void stop_after(const std::shared_ptr<running_errand>& job, clock::duration time) {
  job->bound.expires_after(time);
  job->bound.async_wait([job](error_code) {
    if (job->over) return;
    job->dialling.cancel();
    stop_after(job, again_after);
  });
}

task<void> run_to_its_end(std::shared_ptr<running_errand> job) {
  co_await job->errand(job->dialling, job->server);
  job->over = true;
  job->bound.cancel();
  if (job->done) job->done();
}

}  // namespace

void run_cancel_errand(worker& home, cancel_errand errand, std::function<void()> done) {
  auto job = std::make_shared<running_errand>(home, std::move(errand), std::move(done));
  stop_after(job, most_running);
  asio::co_spawn(home.context(), run_to_its_end(std::move(job)), asio::detached);
}

void send_cancel(worker& home, cancel_registry::request what) {
  auto request = std::make_shared<cancel_registry::request>(std::move(what));
  auto errand = [request](dial& dialling, transport& server) { return forward_cancel(dialling, server, *request); };
  run_cancel_errand(home, std::move(errand), {});
}

}  // namespace proxy
