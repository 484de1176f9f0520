// How a pooled session comes by its connection, and gives it back.
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "protocol/backend_messages.hpp"
#include "protocol/startup.hpp"
#include "proxy/session/forward_cancel.hpp"
#include "proxy/session/pooled_session.hpp"
#include "proxy/worker.hpp"

namespace proxy {

namespace {

// Shorter waiting is not told of, even where everything is.
constexpr std::chrono::milliseconds worth_a_line{10};

// A server that lets nobody else in is asked again after this time, then after twice as much each time, up to the most.
// Meanwhile somebody of the lodge's may give a connection back.
constexpr std::chrono::milliseconds first_retry{20}, longest_retry{500};

}  // namespace

clock::duration pooled_session::most_waiting() const {
  return where().limits.wait.value_or(home_.current()->settings->timeouts.query_wait);
}

// Three ways to a lease, the dearest last: at once; by waiting in the queue, for no more than a call; and by
// `lease_in_turn`, which knows what else may have to be waited for. Each goes on from what the one before has come to.

// Without a suspension. False: the others go on from here, in this very turn.
bool pooled_session::lease_at_once() {
  const bool held = where().state == routing::tenant_state::held;
  if (table_version_ != home_.current()->version || when_idle_ || held || meter_.is_paced(where().limits)) return false;
  if (why_refused(refused_states::who::asks)) return false;
  asked_ = ask();
  return asked_->granted && take_up(*asked_->granted, asked_at_);
}

// Whether all that can be done is to wait until somebody gives a connection back.
bool pooled_session::only_waits() const {
  return asked_ && !asked_->granted && most_waiting() > clock::duration::zero();
}

// After such a wait, without a suspension.
bool pooled_session::lease_when_called() {
  if (!asked_) return false;
  auto& granted = asked_->granted;
  if (!granted) granted = pool_->collect(*seat_);
  return granted && !is_cut_short() && !why_useless(*granted) && take_up(*granted, clock::now());
}

// What needs neither to be opened nor to be brought from another worker.
bool pooled_session::take_up(server_pool::permission& granted, clock::time_point now) {
  connection_ptr& connection = granted.connection;
  if (!connection || &connection->home() != &home_ || !connection->is_open()) return false;
  begin(std::move(connection), now);
  asked_.reset();
  return true;
}

pooled_session::question pooled_session::ask() {
  if (!seat_) seat_ = std::make_shared<pool_seat>(home_.context().get_executor(), door_bell());
  asked_at_ = clock::now();
  return {pool_->ask(wish(), seat_)};
}

// To be used at once: the next session that asks says something else.
connection_wish& pooled_session::wish() {
  connection_wish& made = place_->wish;
  made.state = traffic_.state()->fingerprint();
  made.fresh = traffic_.begins_again();
  made.only = traffic_.wants_last_connection() ? last_connection_ : 0;
  made.since = asked_at_;
  return made;
}

pooled_session::waiting_for::waiting_for(pooled_session& who) : who_(who) {
  if (!who_.traffic_.begins_again()) who_.cancel_.forget_requests();
  who_.cancel_.set_waiting(true);
  who_.waiting_since_ = who_.asked_ ? who_.asked_at_ : clock::now();
  who_.told_of_waiting_ = false;
}

pooled_session::waiting_for::~waiting_for() {
  const auto time = clock::now() - *std::exchange(who_.waiting_since_, std::nullopt);
  who_.waits_for_rate_ = false;
  who_.meter_.waited(time);
  who_.cancel_.set_waiting(false);
  if (time < worth_a_line) return;
  const auto level = who_.around_.log_level();
  if (!desk::is_said(level, spdlog::level::debug)) return;
  desk::say_of(level, spdlog::level::debug, "{}: waited for {:.3f} ms", who_.around_.name(),
               std::chrono::duration<double, std::milli>(time).count());
}

task<seldom<ending>> pooled_session::lease() {
  const waiting_for mark(*this);
  co_return co_await wait_for_lease();
}

// For a statement of the client's, which is marked as waiting. One that comes again has had its turn.
task<seldom<ending>> pooled_session::lease_in_turn() {
  if (!asked_ && !traffic_.begins_again() && meter_.is_paced(where().limits)) {
    if (auto refused = co_await keep_pace()) co_return std::move(*refused);
  }
  co_return co_await wait_for_lease();
}

// A pinned session has its connection already: what its tenant had beyond its rates is waited for.
task<void> pooled_session::pay_debt() {
  settle_account();
  if (meter_.debt(where().limits, clock::now()) <= clock::duration::zero()) co_return;
  const waiting_for mark(*this);
  waits_for_rate_ = true;
  while (!end_ && !when_idle_) {
    const auto now = clock::now();
    const auto debt = meter_.debt(where().limits, now);
    if (debt <= clock::duration::zero()) co_return;
    co_await sleep_until(now + debt);
  }
}

// The server has told somebody else already.
std::optional<ending> pooled_session::why_refused(refused_states::who wants) const {
  auto why = pool_->refusal(place_->wish.key, *traffic_.state(), wants);
  if (!why) return std::nullopt;
  ending made;
  made.report = std::move(*why);
  return made;
}

// It was told after this one had asked, and what it was granted would have to be dressed.
std::optional<ending> pooled_session::why_useless(const server_pool::permission& granted) const {
  if (!granted.waited) return std::nullopt;
  const connection_ptr& one = granted.connection;
  if (one && one->session.worn && *one->session.worn == *traffic_.state()) return std::nullopt;
  return why_refused(refused_states::who::was_granted);
}

// Why who waits shall wait no longer.
std::optional<ending> pooled_session::why_stop(clock::time_point until) const {
  if (end_) return *end_;
  if (cancel_.requested()) return ending::cancelled();
  if (clock::now() < until) return std::nullopt;
  if (auto why = pool_->out_of_reach()) return ending::out_of_reach(where().server->name, std::move(*why));
  return ending::none_free(where(), pool_->bound_of(where().tenant.str(), where().database)).as_error();
}

task<seldom<ending>> pooled_session::wait_for_lease() {
  auto asked = std::exchange(asked_, std::nullopt);
  const auto until = (asked ? asked_at_ : clock::now()) + most_waiting();
  clock::duration pause = first_retry;
  std::shared_ptr<server_pool> full;
  counted crowd;  // in that one
  for (;;) {
    if (!asked) {
      if (when_idle_ && !traffic_.begins_again()) co_return *when_idle_;
      if (auto gone = follow_table()) co_return std::move(*gone);
      if (auto gone = co_await hold()) co_return std::move(gone);
      // Whoever may be served at once is, however little it may wait.
      if (auto stop = why_stop(clock::time_point::max())) co_return std::move(*stop);
      const auto wants = traffic_.begins_again() ? refused_states::who::was_granted : refused_states::who::asks;
      if (auto refused = why_refused(wants)) co_return std::move(*refused);
      asked = ask();
    }
    if (!asked->granted) crowd = counted();  // the queue counts it
    while (!asked->granted) {
      if (auto stop = why_stop(until)) {
        pool_->give_up(*seat_);
        co_return std::move(*stop);
      }
      if (table_version_ != home_.current()->version) break;
      co_await sleep();
      asked->granted = pool_->collect(*seat_);
    }
    if (!asked->granted) {  // the table may say otherwise by now
      pool_->give_up(*seat_);
      asked.reset();
      continue;
    }
    if (auto refused = why_useless(*asked->granted)) {
      pool_->hand_back(std::move(*asked->granted));
      co_return std::move(*refused);
    }
    server_pool::permission permission = std::move(*asked->granted);
    asked.reset();
    auto used = co_await use(std::move(permission), until);
    if (!used) co_return std::move(used.error());
    if (*used == came::leased) co_return std::nullopt;
    if (*used == came::put_off) asked.emplace();
    if (*used == came::crowded_out) {
      crowd = pool_->crowded_out();
      full = pool_;
      co_await sleep_until(std::min(until, clock::now() + pause));
      pause = std::min<clock::duration>(2 * pause, longest_retry);
    }
  }
}

task<seldom<ending>> pooled_session::hold() {
  const auto until = clock::now() + most_waiting();
  while (where().state == routing::tenant_state::held && !end_ && !cancel_.requested()) {
    if (clock::now() >= until) co_return ending::held_too_long(where()).as_error();
    co_await sleep();
    if (auto gone = follow_table()) co_return std::move(*gone);
  }
  co_return std::nullopt;
}

task<std::expected<pooled_session::came, ending>> pooled_session::use(server_pool::permission what,
                                                                      clock::time_point until) {
  using outcome = std::expected<came, ending>;
  const auto pool = pool_;
  connection_ptr connection = std::move(what.connection);
  if (!connection) {
    auto opened = co_await open(what.id);
    if (!opened) {
      server_login::refusal& why = opened.error();
      if (why.outage) {
        pool->failed(what.id, std::move(why.why));
        // Whatever it waited for may have changed meanwhile: `wait_for_lease` looks.
        if (clock::now() < until && !end_) {
          pool->try_later(what.id, wish(), seat_);
          co_return outcome(came::put_off);
        }
      } else if (why.answered) {
        pool->answered(what.id);
      }
      pool->closed(what.id);
      // A session that could not be dressed can do nothing with what others give back.
      if (why.full && !traffic_.begins_again() && clock::now() < until && !end_) {
        desk::say_bounded(spdlog::level::warn,
                          "server \"{}\": {}; who needs a connection waits until one is given back",
                          pool->server()->name, why.why);
        co_return outcome(came::crowded_out);
      }
      co_return outcome(std::unexpected(std::move(why.told)));
    }
    connection = std::move(*opened);
    pool->opened(connection->id());
    connection->start();
  } else if (!co_await pool->bring_home(home_, connection)) {
    co_return outcome(came::lost);
  }
  // What happened meanwhile.
  if (auto stop = why_stop(clock::time_point::max())) {
    pool->give_back(connection, clock::now());
    co_return outcome(std::unexpected(std::move(*stop)));
  }
  begin(std::move(connection), clock::now());
  co_return outcome(came::leased);
}

task<std::expected<connection_ptr, server_login::refusal>> pooled_session::open(connection_id id) {
  using outcome = std::expected<connection_ptr, server_login::refusal>;
  const auto refused = [](ending&& told) {
    server_login::refusal why;
    why.told = std::move(told);
    return std::unexpected(std::move(why));
  };
  const auto& access = home_.current()->secrets->servers;
  const auto how = access.find(where().server->name);
  if (how == access.end()) co_return outcome(refused(ending::moved(where().tenant)));
  auto credentials = around_.log_in_as(where(), *how->second);
  if (!credentials) co_return outcome(refused(std::move(credentials.error())));
  const server_login::request login{
      where().server,
      how->second,
      std::move(*credentials),
      pgwire::encode_startup({3, 0}, {{"user", place_->wish.key.user}, {"database", place_->wish.key.dbname}}),
      home_.current()->settings->timeouts.connect,
      {}};
  auto io = std::make_shared<transport>(home_.context());
  login_.emplace(home_, client_, from_client_, *io);
  auto entered = co_await login_->run(login);
  login_.reset();
  if (!entered) co_return outcome(std::unexpected(std::move(entered.error())));
  std::shared_ptr<const cancel_target> cancel;
  server_login::entered& in = **entered;
  if (in.cancel) cancel = std::make_shared<const cancel_target>(std::move(*in.cancel));
  auto connection = std::make_shared<server_connection>(id, home_, std::move(io), std::move(cancel),
                                                        [pool = pool_](connection_id lost) { pool->closed(lost); });
  connection->session.worn = std::make_shared<const routing::session_state>();
  connection->session.reported = parameters_in(in.greeting);
  if (!in.client_early.empty()) {
    if (!early_) early_.emplace();
    *early_ += in.client_early;
  }
  co_return connection;
}

void pooled_session::begin(connection_ptr connection, clock::time_point now) {
  connection_ = std::move(connection);
  meter_.lease_began(now);
  last_connection_ = connection_->id();
  connection_->lend(*this);
  if (!waiting_since_) cancel_.forget_requests();
  cancel_.aim(connection_->cancel());
  byte_run& to_server = home_.runs().to_server;
  to_server.clear();
  traffic_.begin_lease(connection_->session, to_server);
}

// The session has done with its connection, and it is clean.
void pooled_session::give_back(clock::time_point now) {
  if (traffic_.state()->ends_when_idle()) return drop_connection();
  connection_ptr connection = std::exchange(connection_, nullptr);
  settle_lease(now);
  if (cancel_.aim(nullptr)) {
    connection->end_lease();
    asio::co_spawn(home_.context(), return_when_safe(pool_, std::move(connection), alive_.lock()), asio::detached);
  } else {
    pool_->give_back(connection, now);
  }
}

// A cancel request is on its way to it: it must hit nobody else.
task<void> pooled_session::return_when_safe(std::shared_ptr<server_pool> pool, connection_ptr connection,
                                            std::shared_ptr<void>) {
  const bool safe = co_await cancels_settled(home_.context(), cancel_, connection->cancel());
  if (!safe) connection->close();
  pool->give_back(connection, clock::now());
}

void pooled_session::drop_connection() {
  if (!connection_) return;
  client_cut_ = client_cut_ || !traffic_.server_at_boundary();
  if (traffic_.leased()) traffic_.end_lease();
  cancel_.aim(nullptr);
  connection_->end_lease();
  connection_->close();
  pool_->closed(std::exchange(connection_, nullptr)->id());
  settle_lease(clock::now());
}

}  // namespace proxy
