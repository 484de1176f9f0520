// A session with a server connection of its own: how it comes by that, what passes, and when it has to end.
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/session/client_session.hpp"
#include "proxy/session/forward_cancel.hpp"
#include "proxy/session/hand_on.hpp"
#include "proxy/session/slow_statement.hpp"

namespace proxy {

namespace sqlstate = pgwire::sqlstate;

// By passthrough the server lets the client in, and nobody else; what speaks replication has a server of its own.
bool client_session::shares_connections() const {
  const bool ordinary = request_->startup.find("replication") == nullptr && request_->options.other.empty();
  return route_->pool == routing::pool_mode::transaction && lodge_knows() && ordinary;
}

// To the next session like it.
bool client_session::hands_on() const { return lodge_knows() && request_->startup.find("replication") == nullptr; }

// A connection of its own counts as much as a shared one.
task<seldom<ending>> client_session::reserve() {
  if (!own_) own_ = std::make_unique<own_server>(home_.context());
  own_->reserved = std::make_unique<reservation>(home_.context());
  for (;;) {
    own_->reserved_version = home_.current()->version;
    own_->reserve_until = clock::now() + route_->limits.wait.value_or(home_.current()->settings->timeouts.query_wait);
    const bool taken = co_await wait_for_turn(false);
    if (ending_) co_return *ending_;
    if (taken) co_return std::nullopt;
    if (home_.current()->version == own_->reserved_version) {
      const auto pool = home_.shared().pools.of(route_->server);
      if (auto why = pool->out_of_reach()) {
        co_return ending::out_of_reach(route_->server->name, std::move(*why));
      }
      co_return ending::none_free(*route_, pool->bound_of(route_->tenant.str(), route_->database));
    }
    // The table may say otherwise by now, and it begins to wait anew.
    if (auto failed = co_await place()) co_return std::move(failed);
  }
}

// The startup's clock stands still meanwhile.
task<bool> client_session::wait_for_turn(bool again) {
  state_ = session_state::entering;
  const auto begun = clock::now();
  const auto startup_left = deadline_ - begun;
  deadline_ = clock::time_point::max();
  own_->stays = hands_on();
  connection_wish wish = wish_for(home_.number(), who(), *route_);
  wish.own = !own_->stays;
  if (own_->stays) wish.key = own_key();
  wish.since = begun;
  bool taken = false;
  if (again) {
    taken = co_await own_->reserved->try_again(std::move(wish), own_->reserve_until);
  } else {
    auto pool = home_.shared().pools.of(route_->server);
    taken = co_await own_->reserved->take(std::move(pool), std::move(wish), own_->reserve_until);
  }
  const auto now = clock::now();
  deadline_ = now + startup_left;
  meter_.waited(now - begun);
  co_return taken;
}

// No server is in reach: it waits for its next attempt. Nothing: that may begin.
task<seldom<ending>> client_session::outlast(server_login::refusal why) {
  own_->reserved->failed(why.why);
  if (ending_) co_return *ending_;
  if (clock::now() >= own_->reserve_until) co_return std::move(why.told);
  bool taken = false;
  if (home_.current()->version == own_->reserved_version) taken = co_await wait_for_turn(true);
  if (ending_) co_return *ending_;
  if (taken) co_return std::nullopt;
  if (home_.current()->version == own_->reserved_version) co_return std::move(why.told);
  own_->reserved->release();
  if (auto failed = co_await place()) co_return std::move(failed);
  co_return co_await reserve();
}

client_session::step<pgwire::server_credentials> client_session::log_in_as(const routing::route& where,
                                                                           const server_access& how) {
  if (!where.server->user.empty()) {
    return pgwire::server_credentials{where.server->user, how.password, std::nullopt};
  }
  pgwire::server_credentials made{who().user, std::nullopt, std::nullopt};
  if (pass_) {
    made.password = pass_->password;
    made.keys = pass_->keys;
  }
  if (!made.password) {
    const auto* known = home_.current()->secrets->clients->known_password(who().user);
    if (known != nullptr) made.password = *known;
  }
  return made;
}

// Who logs in at the server; nothing for the client's own exchange. The server's own user never meets a client's keys.
std::optional<pgwire::server_credentials> client_session::server_credentials(const server_access& how) {
  if (!lodge_knows()) return std::nullopt;
  auto made = log_in_as(*route_, how);
  return std::move(*made);
}

task<seldom<ending>> client_session::enter() {
  state_ = session_state::entering;
  for (;;) {
    const auto begun = clock::now();
    auto entered = co_await try_to_enter();
    if (entered) {
      pass_.reset();
      own_->entered = std::move(*entered);
      co_return std::nullopt;
    }
    server_login::refusal& why = entered.error();
    if (why.answered) own_->reserved->answered();
    if (!why.outage) co_return std::move(why.told);
    deadline_ += clock::now() - begun;
    auto over = co_await outlast(std::move(why));
    if (over) co_return std::move(over);
  }
}

// The startup packet is the state that DISCARD ALL comes back to. Tenants share no session, whatever they have in
// common.
pool_key client_session::own_key() const {
  pool_key key = pool_key_of(who(), *route_);
  key.start = who().tenant.str() + '\0' + pgwire::encode_startup({3, 0}, server_parameters(*request_, who(), *route_));
  return key;
}

// By a connection that somebody has left behind, or by a new one.
task<client_session::entered_or> client_session::try_to_enter() {
  while (own_->reserved->has_connection()) {
    if (auto full = count_in()) co_return std::unexpected(std::move(*full));
    if (auto entered = co_await take_over()) {
      add_cancel_key(entered->greeting);
      co_return entered;
    }
    if (auto none = co_await reserve()) {
      server_login::refusal refused;
      refused.told = std::move(*none);
      co_return std::unexpected(std::move(refused));
    }
  }
  auto entered = co_await log_in();
  if (!entered) co_return entered;
  own_->reserved->opened();
  if (auto full = count_in()) co_return std::unexpected(std::move(*full));
  add_cancel_key((*entered)->greeting);
  co_return entered;
}

// Nothing: it is lost, and so is its place in the budget.
task<client_session::entered_ptr> client_session::take_over() {
  const connection_ptr found = co_await own_->reserved->take_over(home_);
  if (!found) co_return nullptr;
  auto stream = found->leave_worker();
  if (!stream) {
    own_->reserved->release();
    co_return nullptr;
  }
  own_->link.adopt(std::move(*stream));
  own_->target = found->cancel();
  own_->greeted = found->session.reported;
  auto entered = std::make_unique<server_login::entered>();
  entered->greeting = encode_greeting(*own_->greeted);
  entered->server_early = pgwire::backend::ready_for_query{}.encode();
  entered->client_early = from_client_.rest();
  co_return entered;
}

task<client_session::entered_or> client_session::log_in() {
  const conf::daemon_settings& settings = *home_.current()->settings;
  const auto& access = home_.current()->secrets->servers;
  const auto how = access.find(route_->server->name);
  if (how == access.end()) {
    server_login::refusal refused;
    refused.told = ending::moved(who().tenant);
    co_return std::unexpected(std::move(refused));
  }
  const server_login::request what{route_->server,
                                   how->second,
                                   server_credentials(*how->second),
                                   pgwire::encode_startup({3, 0}, server_parameters(*request_, who(), *route_)),
                                   settings.timeouts.connect,
                                   [this] { own_->reserved->answered(); }};
  own_->login.emplace(home_, client_, from_client_, own_->link);
  auto entered = co_await own_->login->run(what);
  own_->login.reset();
  if (!entered) co_return entered;
  if ((*entered)->cancel) own_->target = std::make_shared<const cancel_target>(std::move(*(*entered)->cancel));
  if (own_->stays) own_->greeted = shared_greeting((*entered)->greeting);
  co_return entered;
}

// What a server reports to one session of a kind it reports to the next: it is kept once for all of them.
parameters_ptr client_session::shared_greeting(std::string_view messages) const {
  const auto pool = home_.shared().pools.of(route_->server);
  const pool_key key = own_key();
  static const routing::session_state as_started;
  parameters_ptr reported = parameters_in(messages);
  parameters_ptr known = pool->greeting(key, as_started);
  if (known && *known == *reported) return known;
  pool->remember_greeting(key, as_started, reported);
  return reported;
}

// Why its tenant has no room for one more client. Once it has been counted it stays so.
std::optional<server_login::refusal> client_session::count_in() {
  const auto counted_in = meter_.enter(*route_);
  if (counted_in) return std::nullopt;
  server_login::refusal refused;
  refused.told = ending::too_many_clients(*route_, counted_in.error());
  return refused;
}

// Whoever has no key for the server's session cannot be given one.
void client_session::add_cancel_key(std::string& greeting) {
  if (!own_->target) return;
  const bool long_key = version_ == pgwire::protocol_version{3, 2};
  const auto key =
      make_cancel_key(own_->target->server_key.process_id(), long_key ? secret_bytes_3_2 : secret_bytes_3_0);
  greeting += pgwire::encode_backend_key_data(key);
  own_->cancel_handle = home_.shared().cancels.add(key, own_->target);
}

task<seldom<ending>> client_session::relay_until_end(std::shared_ptr<client_session> self) {
  entered_ptr entered = std::move(own_->entered);
  if (!co_await client_.write_all(as_bytes(entered->greeting))) co_return ending::quiet("the client left");
  own_->relaying.emplace(home_, client_, own_->link, meter_, route_->limits,
                         own_->stays ? relay::server_after::stays : relay::server_after::ends,
                         [this](clock::duration took, std::string_view text) {
                           const auto& least = route_->limits.log_min_duration_statement;
                           if (least && took >= *least) log_slow(log_level(), name(), took, text);
                         });
  meter_.lease_began(clock::now());
  state_ = session_state::relaying;
  deadline_ = clock::time_point::max();
  // What happened while it was on its way in.
  if (ending_) co_return *ending_;
  on_publish();
  std::string client_early = std::move(entered->client_early);
  std::string server_early = std::move(entered->server_early);
  entered.reset();
  const relay_end how = co_await own_->relaying->run(std::move(client_early), std::move(server_early), self);
  co_return ending_of(how);
}

ending client_session::ending_of(relay_end how) const {
  switch (how) {
    case relay_end::client_left: return ending::quiet("the client left");
    case relay_end::client_lost: return ending::quiet("the client's connection broke");
    case relay_end::server_closed:
    case relay_end::server_lost:
      if (own_->relaying->traffic().server_said_fatal()) return ending::quiet("the server ended the session");
      return ending::fatal(sqlstate::connection_failure,
                           "the connection to server \"" + route_->server->name + "\" was lost");
    case relay_end::client_fault: return ending::of(*own_->relaying->fault(), "The client");
    case relay_end::server_fault: return ending::of(*own_->relaying->fault(), "The server");
    case relay_end::told_to_leave:
    case relay_end::none: break;
  }
  return ending_ ? *ending_ : when_idle_ ? *when_idle_ : ending::lodge_closes();
}

// Whatever its place, it has the limits of the table in force.
void client_session::obey(const routing::route& now) {
  route_->limits = now.limits;
  route_->shared = now.shared;
  meter_.share(route_->shared);
}

// Whether the server's connection goes on to the next session of this kind.
bool client_session::leave_behind() {
  if (draining_ || !own_->relaying || !own_->relaying->server_is_free() || !own_->target) return false;
  const traffic_tracker& traffic = own_->relaying->traffic();
  if (!traffic.all_reported_known() || own_->link.owes()) return false;
  auto stream = own_->link.detach();
  if (!stream) return false;
  left_behind left;
  left.id = own_->reserved->id();
  left.pool = own_->reserved->disown();
  left.io = std::make_shared<transport>(home_.context());
  left.io->adopt(std::move(*stream));
  left.cancel = own_->target;
  left.key = std::move(own_->cancel_handle);
  left.reported = traffic.reported() == nullptr ? own_->greeted : with_changes(own_->greeted, *traffic.reported());
  hand_on(home_, std::move(left), home_.current()->settings->timeouts.connect);
  return true;
}

// Of a session with a connection of its own.
void client_session::keep_limits(clock::time_point now) {
  using exceeded = time_limits::exceeded;
  own_->relaying->settle_account(now);
  const time_limits::terms limits{route_->in_force(), home_.current()->settings->timeouts.idle};
  traffic_moment at = own_->relaying->traffic().moment();
  at.waits = at.waits || own_->relaying->pausing();
  const exceeded what = own_->time.look(at, limits, now);
  // A stream of changes is no statement, though one began it.
  const bool about_statement = what == exceeded::query_time || what == exceeded::unheeded;
  const bool streams = about_statement && replication_ != replication_kind::none;
  if (what != exceeded::none && !streams && at.running) {
    // A server notices that its client is gone when it next talks to it: what runs is told to stop in either case.
    if (auto request = own_->cancel_handle.own_request(); request && request->is_only()) {
      const auto why = time_limits::report(what, limits);
      desk::say_of(log_level(), spdlog::level::info, "{}: {}: {}", name(), why.message, why.detail);
      send_cancel(home_, std::move(*request));
      own_->relaying->hold_client_while([key = &own_->cancel_handle] { return key->busy(); });
    }
  }
  if (what != exceeded::none && what != exceeded::query_time && !streams) {
    ending over;
    over.report = time_limits::report(what, limits);
    end_with(std::move(over));
  }
  own_->relaying->on_tick();
}

// Why a session that is placed may not stay, by the table in force.
std::optional<ending> client_session::why_leave(const step<routing::route>& now) const {
  if (draining_) return ending::lodge_closes();
  if (!now) {
    const bool gone = now.error().report.code == sqlstate::invalid_catalog_name;
    return gone ? ending::moved(who().tenant) : now.error();
  }
  if (routing::place_changed(*route_, *now)) return ending::moved(who().tenant);
  return std::nullopt;
}

}  // namespace proxy
