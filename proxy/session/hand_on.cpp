#include "proxy/session/hand_on.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "protocol/login_fsm.hpp"
#include "proxy/pool/server_pool.hpp"
#include "proxy/random.hpp"
#include "proxy/session/forward_cancel.hpp"
#include "proxy/session/message_reader.hpp"
#include "proxy/session/session_reset.hpp"
#include "proxy/worker.hpp"

namespace proxy {
namespace {

// Whether the session is as new. What the server reported meanwhile is taken over.
task<bool> reset(worker& home, transport& io, parameters_ptr& reported) {
  session_reset resetting(random_fraction());
  const std::string request = resetting.request();
  if (!co_await io.write_all(as_bytes(request))) co_return false;
  message_reader from_server(home, io, pgwire::most_login_message);
  for (auto how = session_reset::outcome::goes_on; how != session_reset::outcome::clean;) {
    const auto message = co_await from_server.next();
    if (!message) co_return false;
    how = resetting.on_message(message->type, message->body);
    if (how == session_reset::outcome::failed) co_return false;
  }
  reported = with_changes(reported, resetting.reported());
  const bool nothing_more = from_server.rest().empty();
  co_return nothing_more;
}

task<void> hand_on_in_turn(worker& home, left_behind what, clock::duration most) {
  timer bound(home.context(), most);
  bound.async_wait([io = what.io](error_code error) {
    if (!error) io->close();
  });
  what.key.aim(nullptr);
  const bool safe = co_await cancels_settled(home.context(), what.key, what.cancel);
  const bool clean = safe && co_await reset(home, *what.io, what.reported);
  bound.cancel();
  if (!clean || !what.io->is_open()) {
    spdlog::debug("connection {} to server \"{}\" could not be reset, and is closed", what.id,
                  what.pool->server()->name);
    what.io->close();
    co_return what.pool->closed(what.id);
  }
  auto lost = [pool = what.pool](connection_id which) { pool->closed(which); };
  auto connection =
      std::make_shared<server_connection>(what.id, home, std::move(what.io), std::move(what.cancel), std::move(lost));
  connection->session.reported = std::move(what.reported);
  connection->start();
  what.pool->give_back(connection, clock::now());
}

}  // namespace

void hand_on(worker& home, left_behind what, clock::duration most) {
  asio::co_spawn(home.context(), hand_on_in_turn(home, std::move(what), most), asio::detached);
}

}  // namespace proxy
