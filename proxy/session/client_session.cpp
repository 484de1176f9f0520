#include "proxy/session/client_session.hpp"

#include <spdlog/spdlog.h>

#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/frontend_messages.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/auth/auth_rules.hpp"
#include "proxy/auth/peer_address.hpp"
#include "proxy/session/cancel_registry.hpp"
#include "proxy/session/farewell.hpp"
#include "proxy/session/forward_cancel.hpp"
#include "routing/access.hpp"

namespace proxy {

namespace sqlstate = pgwire::sqlstate;

namespace {

// How long a client has to read what it was told before its connection is closed under it.
constexpr std::chrono::seconds most_lingering{2};

// A cancel request's own bound.
constexpr std::chrono::seconds most_cancelling{10};

ending lodge_closes() { return ending::fatal(sqlstate::admin_shutdown, "the lodge is closing", {}, "Connect again."); }

}  // namespace

client_session::client_session(worker& home, visitor who, counted place)
    : home_(home),
      id_(home.shared().next_session_id.fetch_add(1, std::memory_order_relaxed)),
      visitor_(std::move(who)),
      in_worker_(std::move(place)),
      client_(home.context()),
      from_client_(home, client_, pgwire::most_login_message),
      server_(home.context()),
      meter_(home.shared().accounts, home.shared().times),
      deadline_(clock::now() + home.current()->settings->timeouts.startup) {
  client_.adopt(visitor_.peer.data()->sa_family, visitor_.descriptor);
  home_.enter(*this);
}

client_session::~client_session() { home_.leave(*this); }

task<void> client_session::run(std::shared_ptr<client_session> self) {
  ending why = co_await self->serve(self);
  if (self->ending_) why = std::move(*self->ending_);  // whatever failed, failed because of it
  co_await self->goodbye(why);
}

// Coming in is a coroutine of its own, so that what it needed is gone while the session merely goes on.
task<ending> client_session::serve(std::shared_ptr<client_session> self) {
  auto entered = co_await arrive();
  if (!entered) co_return std::move(entered.error());
  if (console_) co_return co_await converse_until_end();
  if (!*entered) co_return co_await pool_until_end(std::move(self));
  co_return co_await relay_until_end(std::move(*entered), std::move(self));
}

// Nothing: it shares connections, and `pooled_` is there; or it is for the console, and `console_` is.
task<client_session::step<client_session::entered_ptr>> client_session::arrive() {
  auto request = co_await come_in();
  if (!request) co_return std::unexpected(std::move(request.error()));
  if (console_) co_return nullptr;
  if (shares_connections(*request)) {
    pool(*request);
    co_return nullptr;
  }
  if (route_->waits) co_return std::unexpected(ending::nameless());
  if (auto refused = co_await reserve()) co_return std::unexpected(std::move(*refused));
  co_return co_await enter(*request);
}

task<client_session::step<session_request>> client_session::come_in() {
  auto first = co_await greet(client_, visitor_.tls.get());
  if (!first) co_return std::unexpected(std::move(first.error()));
  if (const auto* key = std::get_if<pgwire::cancel_key>(&*first)) {
    const pgwire::cancel_key presented = *key;
    co_return std::unexpected(co_await pass_cancel_on(presented));
  }
  auto request = session_request::read(std::move(std::get<pgwire::startup_message>(*first)));
  if (!request) co_return std::unexpected(ending::of(request.error()));
  if (!client_.tls() && !visitor_.plain_text_allowed) {
    co_return std::unexpected(ending::fatal(sqlstate::invalid_authorization, "this listener demands TLS", {},
                                            "Connect with sslmode=require, or better verify-full."));
  }

  if (const auto* name = request->startup.find("application_name")) application_name_ = *name;
  if (const auto* mode = request->startup.find("replication")) {
    replication_ = *mode == "database" ? "logical" : "physical";
  }
  const auto* database = request->startup.find("database");
  if (database != nullptr && *database == console::database_name) {
    auto may = co_await come_to_console(*request);
    if (!may) co_return std::unexpected(std::move(may.error()));
    console::console_session::request what{id_, who_.user, name(), *may, version_ == pgwire::protocol_version{3, 2}};
    console_ = std::make_unique<console::console_session>(home_, client_, from_client_, std::move(what));
    co_return std::move(*request);
  }

  auto identified = routing::identify(home_.current()->routes->hints(), facts_of(*request));
  if (!identified) co_return std::unexpected(ending::of(identified.error()));
  who_ = std::move(*identified);

  if (auto failed = co_await agree_on_version(request->startup)) co_return std::unexpected(std::move(*failed));
  auto passed = co_await authenticate();
  if (!passed) co_return std::unexpected(std::move(passed.error()));
  pass_ = std::move(*passed);
  auto placed = co_await place();
  if (!placed) co_return std::unexpected(std::move(placed.error()));
  route_ = std::move(*placed);
  if (!meter_.enter(*route_)) {
    ending full;
    full.report = session_meter::too_many_clients(*route_);
    co_return std::unexpected(std::move(full));
  }

  spdlog::info("{}: begins: user {}, by {}{}{}, at {}/{}", name(), who_.user, who_.hint,
               who_.hint.empty() ? "" : " and ", route_->rule, route_->server->name, route_->database);
  co_return std::move(*request);
}

// No hint applies there, and no server could be asked by passthrough.
task<client_session::step<console::privilege>> client_session::come_to_console(const session_request& request) {
  who_.user = *request.startup.find("user");
  who_.database = console::database_name;
  if (auto failed = co_await agree_on_version(request.startup)) co_return std::unexpected(std::move(*failed));
  auto passed = co_await authenticate();
  if (!passed) co_return std::unexpected(std::move(passed.error()));
  if (!*passed) {
    co_return std::unexpected(
        ending::fatal(sqlstate::invalid_authorization, "the console of pglodge cannot authenticate by passthrough", {},
                      "Give it a method by a rule, { database: pglodge, method: scram-sha-256 }, and auth.users."));
  }
  co_return console::privilege_of(home_.current()->settings->admin, who_.user);
}

// By passthrough the server lets the client in, and nobody else; what speaks replication has a server of its own.
bool client_session::shares_connections(const session_request& request) const {
  const bool lodge_knows = pass_.has_value();
  const bool ordinary = request.startup.find("replication") == nullptr && request.options.other.empty();
  return route_->pool == routing::pool_mode::transaction && lodge_knows && ordinary;
}

void client_session::pool(const session_request& request) {
  pooled_session::request what;
  what.who = who_;
  what.where = *route_;
  what.startup = request;
  what.long_cancel_key = version_ == pgwire::protocol_version{3, 2};
  pooled_session::host& around = *this;
  pooled_ = std::make_unique<pooled_session>(id_, home_, client_, from_client_, around, meter_, std::move(what));
}

task<ending> client_session::pool_until_end(std::shared_ptr<client_session> self) {
  state_ = session_state::pooled;
  deadline_ = clock::time_point::max();
  if (ending_) co_return *ending_;
  if (draining_) pooled_->leave_when_idle(lodge_closes());
  co_return co_await pooled_->run(std::move(self));
}

task<ending> client_session::converse_until_end() {
  state_ = session_state::console;
  deadline_ = clock::time_point::max();
  if (ending_) co_return *ending_;
  if (draining_) co_return lodge_closes();
  co_return co_await console_->run();
}

client_session::step<pgwire::server_credentials> client_session::log_in_as(const routing::route& where,
                                                                           const server_access& how) {
  if (!where.server->user.empty()) {
    return pgwire::server_credentials{where.server->user, how.password, std::nullopt};
  }
  pgwire::server_credentials made{who_.user, pass_->password, pass_->keys};
  if (!made.password) {
    const auto* known = home_.current()->secrets->clients->known_password(who_.user);
    if (known != nullptr) made.password = *known;
  }
  return made;
}

// Before anything else is said, authentication included (PostgreSQL docs, 55.2.1).
task<std::optional<ending>> client_session::agree_on_version(const pgwire::startup_message& startup) {
  const auto negotiated = pgwire::negotiate(startup);
  version_ = negotiated.version;
  if (negotiated.must_tell) {
    const std::string told = pgwire::encode_negotiate(negotiated);
    if (!co_await client_.write_all(as_bytes(told))) co_return ending::quiet("the client left");
  }
  co_return std::nullopt;
}

// What the packet says, and the TLS it came by.
routing::session_facts client_session::facts_of(const session_request& request) const {
  routing::session_facts facts = request.facts();
  if (!client_.tls()) return facts;
  facts.server_name = server_name_indication(client_.tls());
  if (auto names = client_certificate(client_.tls())) {
    facts.common_name = std::move(names->common_name);
    facts.alternative_names = std::move(names->alternative_names);
  }
  return facts;
}

// Who logs in at the server; nothing for the client's own exchange. The server's own user never meets a client's keys.
std::optional<pgwire::server_credentials> client_session::server_credentials(const server_access& how) {
  if (!pass_) return std::nullopt;
  auto made = log_in_as(*route_, how);
  if (route_->server->user.empty()) pass_.reset();
  return std::move(*made);
}

// Who the client is, by the method that the configuration demands of it; nothing where the server finds out itself.
// Whether its tenant exists is looked at only when it has passed, so that it cannot be found out without.
task<client_session::step<std::optional<auth_pass>>> client_session::authenticate() {
  const snapshot_ptr now = home_.current();
  auth_facts facts;
  facts.tls = static_cast<bool>(client_.tls());
  facts.peer = ip_of(visitor_.peer);
  facts.database = who_.database ? *who_.database : who_.user;
  facts.role = who_.user;
  facts.tenant = who_.tenant.str();
  const auth_decision decision = method_for(now->settings->auth, facts);
  if (decision.method == conf::auth_method::passthrough) co_return std::nullopt;

  state_ = session_state::authenticating;
  auth_request what{decision.method, who_.user, facts.peer, std::nullopt, std::nullopt, name()};
  if (client_.tls()) {
    if (auto point = server_end_point(client_.tls()); !point.empty()) what.end_point = std::move(point);
    what.certificate = client_certificate(client_.tls());
  }
  auth_.emplace(home_.context().get_executor(), home_.shared().computing, home_.shared().throttle,
                now->secrets->clients, client_);
  auto passed = co_await auth_->run(std::move(what));
  auth_.reset();
  if (!passed) co_return std::unexpected(std::move(passed.error()));
  co_return std::optional<auth_pass>(std::move(*passed));
}

// A held tenant's client waits here for a table that releases it. Its startup's clock stands still meanwhile.
task<client_session::step<routing::route>> client_session::place() {
  auto found = look_up();
  if (!found || found->state != routing::tenant_state::held) co_return if_enabled(std::move(found));

  held_since_ = clock::now();
  const auto startup_left = deadline_ - held_since_;
  const clock::duration wait = found->limits.wait.value_or(home_.current()->settings->timeouts.query_wait);
  state_ = session_state::held;
  deadline_ = clock::time_point::max();
  released_.emplace(home_.context(), clock::now() + wait);
  while (found && found->state == routing::tenant_state::held && !ending_) {
    auto [woken] = co_await released_->async_wait(no_throw);
    if (!woken) {
      co_return std::unexpected(ending::held_too_long(who_.tenant));
    }
    found = look_up();
  }
  released_.reset();
  deadline_ = clock::now() + startup_left;
  co_return if_enabled(std::move(found));
}

// A place that is disabled takes no new sessions; those that are there stay.
client_session::step<routing::route> client_session::if_enabled(step<routing::route> found) const {
  if (!found || !home_.current()->overrides->is_disabled(found->database)) return found;
  return std::unexpected(ending::fatal(sqlstate::cannot_connect_now, "database \"" + found->database + "\" is disabled",
                                       {}, "An administrator has done so; ENABLE at the console of pglodge ends it."));
}

client_session::step<routing::route> client_session::look_up() const {
  auto found = home_.current()->routes->resolve(who_);
  if (!found) return std::unexpected(ending::of(found.error()));
  home_.current()->overrides->apply(*found);
  if (const auto refused = routing::may_enter(*found, who_.user)) return std::unexpected(ending::of(*refused));
  return std::move(*found);
}

// A connection of its own counts as much as a shared one. Its startup's clock stands still while it waits for its turn.
task<std::optional<ending>> client_session::reserve() {
  const auto startup_left = deadline_ - clock::now();
  const auto until = clock::now() + route_->limits.wait.value_or(home_.current()->settings->timeouts.query_wait);
  deadline_ = clock::time_point::max();
  reserved_ = std::make_unique<reservation>(home_.context().get_executor());
  for (;;) {
    state_ = session_state::entering;
    const std::uint64_t version = home_.current()->version;
    const bool taken = co_await reserved_->take(home_.shared().pools.of(route_->server),
                                                wish_for(id_, home_.number(), who_, *route_), until);
    if (ending_) co_return *ending_;
    if (taken) break;
    if (clock::now() >= until) co_return ending::none_free(*route_);
    if (home_.current()->version == version) continue;
    auto placed = co_await place();
    if (!placed) co_return std::move(placed.error());
    route_ = std::move(*placed);
  }
  deadline_ = clock::now() + startup_left;
  co_return std::nullopt;
}

task<client_session::step<client_session::entered_ptr>> client_session::enter(const session_request& request) {
  state_ = session_state::entering;
  const conf::daemon_settings& settings = *home_.current()->settings;
  const auto& access = home_.current()->secrets->servers;
  const auto how = access.find(route_->server->name);
  if (how == access.end()) co_return std::unexpected(ending::moved(who_.tenant));
  const server_login::request what{route_->server, how->second, server_credentials(*how->second),
                                   pgwire::encode_startup({3, 0}, server_parameters(request, who_, *route_)),
                                   settings.timeouts.connect};
  login_.emplace(home_, client_, from_client_, server_);
  auto entered = co_await login_->run(what);
  login_.reset();
  if (entered) reserved_->opened();
  if (entered && (*entered)->cancel) {
    const bool long_key = version_ == pgwire::protocol_version{3, 2};
    const auto process_id = (*entered)->cancel->server_key.process_id();
    const auto key = make_cancel_key(process_id, long_key ? secret_bytes_3_2 : secret_bytes_3_0);
    (*entered)->greeting += pgwire::encode_backend_key_data(key);
    own_server_ = std::make_shared<const cancel_target>(std::move(*(*entered)->cancel));
    cancel_handle_ = home_.shared().cancels.add(key, own_server_);
  }
  co_return entered;
}

task<ending> client_session::relay_until_end(entered_ptr entered, std::shared_ptr<client_session> self) {
  if (!co_await client_.write_all(as_bytes(entered->greeting))) co_return ending::quiet("the client left");
  relay_.emplace(home_, client_, server_, meter_);
  relay_->set_limits(route_->limits);
  meter_.lease_began(clock::now());
  state_ = session_state::relaying;
  deadline_ = clock::time_point::max();
  // What happened while it was on its way in.
  if (ending_) co_return *ending_;
  on_publish();
  std::string client_early = std::move(entered->client_early);
  std::string server_early = std::move(entered->server_early);
  entered.reset();
  const relay_end how = co_await relay_->run(std::move(client_early), std::move(server_early), self);
  co_return ending_of(how);
}

ending client_session::ending_of(relay_end how) const {
  switch (how) {
    case relay_end::client_left: return ending::quiet("the client left");
    case relay_end::client_lost: return ending::quiet("the client's connection broke");
    case relay_end::server_closed:
    case relay_end::server_lost:
      if (relay_->traffic().server_said_fatal()) return ending::quiet("the server ended the session");
      return ending::fatal(sqlstate::connection_failure,
                           "the connection to server \"" + route_->server->name + "\" was lost");
    case relay_end::client_fault: return ending::of(*relay_->fault(), "The client");
    case relay_end::server_fault: return ending::of(*relay_->fault(), "The server");
    case relay_end::told_to_leave:
    case relay_end::none: break;
  }
  return ending_ ? *ending_ : when_idle_ ? *when_idle_ : lodge_closes();
}

task<ending> client_session::pass_cancel_on(const pgwire::cancel_key& presented) {
  state_ = session_state::cancelling;
  deadline_ = clock::now() + most_cancelling;
  const auto target = home_.shared().cancels.find(presented);
  if (!target) co_return ending::quiet("a cancel request with a key that no session has");
  cancel_dial_.emplace(home_.context(), server_);
  co_await forward_cancel(*cancel_dial_, server_, **target);
  co_return ending::quiet("a cancel request was passed on");
}

task<void> client_session::goodbye(const ending& why) {
  const bool in_relay = relay_.has_value();
  if (why.tell_client) meter_.error();
  if (in_relay) relay_->settle_account(clock::now());
  if (pooled_) pooled_->settle_account();
  const bool pooled_whole = !pooled_ || pooled_->client_stream_whole();
  state_ = session_state::leaving;
  deadline_ = clock::now() + most_lingering;
  cancel_handle_ = {};
  if (in_relay && server_.is_open() && relay_->server_stream_whole()) {
    static_cast<void>(server_.write_some(as_bytes(pgwire::frontend::terminate{}.encode())));
  }
  server_.close();
  if (reserved_) reserved_->release();

  log_end(why);
  const bool console_whole = !console_ || console_->client_stream_whole();
  const bool stream_whole = console_whole && pooled_whole && (!in_relay || relay_->client_stream_whole());
  if (why.tell_client && stream_whole) {
    const std::string told = why.as_it_came.empty() ? pgwire::encode_error(why.report) : why.as_it_came;
    co_await say_farewell(home_, client_, told);
  }
  client_.close();
}

// One line for each session that came in, and for each that was told why not. Whoever leaves before it has said what
// it wants, as health checks do, is nobody's story.
void client_session::log_end(const ending& why) const {
  const std::string reason =
      why.tell_client ? why.report.severity + " " + why.report.code + ": " + why.report.message : why.report.message;
  if (!route_) {
    spdlog::log(why.tell_client ? spdlog::level::info : spdlog::level::debug, "{}: {}", name(), reason);
    return;
  }
  const auto& all = meter_.so_far();
  const std::chrono::duration<double> length = clock::now() - begun_;
  spdlog::info("{}: ends after {:.3f} s, {} transactions, {} bytes in, {} out: {}", name(), length.count(),
               all.transactions, all.bytes_in, all.bytes_out, reason);
}

void client_session::on_tick(clock::time_point now) {
  if (now >= deadline_) {
    if (state_ == session_state::leaving || state_ == session_state::cancelling) {
      cancel_waits();
    } else if (!ending_) {
      end_with(ending::fatal(sqlstate::query_canceled, "the startup took too long", "timeouts.startup has passed."));
    }
  }
  if (login_) login_->on_tick(now);
  if (state_ == session_state::relaying) keep_limits(now);
  if (state_ == session_state::pooled) pooled_->on_tick(now);
  if (state_ == session_state::console) console_->on_tick();
  const bool waits_without_reading = state_ == session_state::held || state_ == session_state::entering;
  if (waits_without_reading && !ending_ && client_.peer_closed()) end_with(ending::quiet("the client left"));
  // A cancellation is lost on a wait that had just ended; the next wait must end as well.
  if (ending_ && state_ != session_state::leaving) cancel_waits();
}

// Of a session with a connection of its own.
void client_session::keep_limits(clock::time_point now) {
  using exceeded = time_limits::exceeded;
  relay_->settle_account(now);
  const time_limits::terms limits{route_->limits, home_.current()->settings->timeouts.idle};
  const exceeded what = time_.look(relay_->traffic().moment(), limits, now);
  if (what == exceeded::query_time) {
    if (auto request = cancel_handle_.own_request(); request && request->is_only()) {
      spdlog::info("{}: {}", name(), time_limits::report(what, limits).message);
      send_cancel(home_.context(), std::move(*request));
    }
  } else if (what != exceeded::none) {
    ending over;
    over.report = time_limits::report(what, limits);
    end_with(std::move(over));
  }
  relay_->on_tick();
}

void client_session::on_publish() {
  if (state_ == session_state::held) {
    released_->cancel();
  } else if (state_ == session_state::entering) {
    reserved_->cancel();
  } else if (state_ == session_state::pooled) {
    pooled_->on_publish();
  } else if (state_ == session_state::relaying) {
    const auto now = look_up();
    if (now) relay_->set_limits(route_->limits = now->limits);
    when_idle_ = why_leave(now);
    relay_->leave_when_idle(when_idle_.has_value());
  }
}

// Why a session that is placed may not stay, by the table in force.
std::optional<ending> client_session::why_leave(const step<routing::route>& now) const {
  if (draining_) return lodge_closes();
  if (!now) {
    const bool gone = now.error().report.code == sqlstate::invalid_catalog_name;
    return gone ? ending::moved(who_.tenant) : now.error();
  }
  if (routing::place_changed(*route_, *now)) return ending::moved(who_.tenant);
  return std::nullopt;
}

void client_session::on_closing(closing how) {
  if (how == closing::drain && state_ == session_state::relaying) {
    draining_ = true;
    on_publish();
  } else if (how == closing::drain && state_ == session_state::pooled) {
    draining_ = true;
    pooled_->leave_when_idle(lodge_closes());
  } else if (how == closing::drain && state_ == session_state::console) {
    draining_ = true;
    console_->leave_when_idle(lodge_closes());
  } else if (how == closing::drain && state_ == session_state::cancelling) {
    return;  // it is short, and somebody waits for it
  } else {
    end_with(lodge_closes());
  }
}

void client_session::end_with(ending why) {
  if (state_ == session_state::leaving || ending_) return;
  ending_ = std::move(why);
  if (relay_) relay_->leave_now();
  if (pooled_) pooled_->leave_now(*ending_);
  if (console_) console_->leave_now(*ending_);
  cancel_waits();
}

void client_session::cancel_waits() {
  client_.cancel();
  server_.cancel();
  if (released_) released_->cancel();
  if (auth_) auth_->cancel();
  if (reserved_) reserved_->cancel();
  if (login_) login_->cancel();
  if (pooled_) pooled_->cancel_waits();
  if (console_) console_->cancel_waits();
  if (cancel_dial_) cancel_dial_->cancel();
}

std::string client_session::name() const {
  std::string text = "session " + std::to_string(id_) + " from " + describe(visitor_.peer);
  if (!who_.tenant.empty()) text += ", tenant " + who_.tenant.str();
  return text;
}

}  // namespace proxy
