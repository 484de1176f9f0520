#include "proxy/session/server_look.hpp"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <memory>
#include <string>
#include <utility>

#include "protocol/frontend_messages.hpp"
#include "protocol/login_fsm.hpp"
#include "protocol/startup.hpp"
#include "proxy/pool/hosts_to_watch.hpp"
#include "proxy/pool/server_pool.hpp"
#include "proxy/session/message_reader.hpp"
#include "proxy/session/server_login.hpp"
#include "proxy/transport.hpp"
#include "proxy/worker.hpp"

namespace proxy {
namespace {

// How often it is looked whether a login has taken too long.
constexpr std::chrono::milliseconds look_after{100};

// Who asks where the server has no user of the lodge's. There need not be such a role.
constexpr std::string_view anybody = "pglodge";

struct looking {
  looking(worker& home, std::shared_ptr<server_pool> whom)
      : pool(std::move(whom)),
        nobody(home.context()),
        from_nobody(home, nobody, pgwire::most_login_message),
        server(home.context()),
        login(home, nobody, from_nobody, server),
        ticks(home.context()) {}
  std::shared_ptr<server_pool> pool;
  transport nobody;  // no client is there
  message_reader from_nobody;
  transport server;
  server_login login;
  server_login::request what;
  timer ticks;
  bool over = false;
};

void keep_time(const std::shared_ptr<looking>& job) {
  job->ticks.expires_after(look_after);
  job->ticks.async_wait([job](error_code) {
    if (job->over) return;
    job->login.on_tick(clock::now());
    keep_time(job);
  });
}

task<void> go_and_look(std::shared_ptr<looking> job) {
  using look = server_pool::look;
  const auto entered = co_await job->login.run(job->what);
  job->over = true;
  job->ticks.cancel();
  if (entered) {
    static_cast<void>(job->server.write_some(as_bytes(pgwire::frontend::terminate{}.encode())));
    job->pool->found(look::answered);
  } else if (entered.error().outage) {
    job->pool->found(look::out_of_reach, entered.error().why);
  } else {
    job->pool->found(entered.error().answered ? look::answered : look::showed_nothing);
  }
  job->server.close();
}

// Without a login a standby cannot be told from a primary.
bool could_tell(const routing::server& server, const server_memory& memory) {
  if (!server.user.empty()) return true;
  return std::ranges::none_of(
      server.hosts, [&](const routing::host& one) { return memory.last_sight(one).role == host_role::standby; });
}

server_login::request request_for(const snapshot& now, const std::shared_ptr<const routing::server>& server,
                                  std::shared_ptr<const server_access> how) {
  const std::string role = server->user.empty() ? std::string(anybody) : server->user;
  pgwire::server_credentials with{role, std::nullopt, std::nullopt};
  if (!server->user.empty()) with.password = how->password;
  auto startup =
      pgwire::encode_startup({3, 0}, {{"user", role}, {"database", database_to_look_at(*now.routes, *server)}});
  return {server, std::move(how), std::move(with), std::move(startup), now.settings->timeouts.connect, {}};
}

}  // namespace

void look_at_lost_servers(worker& home) {
  const snapshot& now = *home.current();
  const auto& servers = now.routes->parts().servers;
  for (const auto& pool : home.shared().pools.all()) {
    if (!pool->out_of_reach()) continue;
    // Not one that has been left for another of its name.
    const auto found = servers.find(pool->server()->name);
    if (found == servers.end() || *found->second != *pool->server()) continue;
    const auto how = now.secrets->servers.find(found->first);
    if (how == now.secrets->servers.end() || !could_tell(*found->second, home.shared().servers)) continue;
    if (!pool->begin_look(clock::now())) continue;
    auto job = std::make_shared<looking>(home, pool);
    job->what = request_for(now, pool->server(), how->second);
    keep_time(job);
    asio::co_spawn(home.context(), go_and_look(std::move(job)), asio::detached);
  }
}

}  // namespace proxy
