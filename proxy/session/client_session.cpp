#include "proxy/session/client_session.hpp"

#include <utility>

#include "protocol/frontend_messages.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/session/cancel_registry.hpp"
#include "proxy/session/farewell.hpp"
#include "proxy/session/forward_cancel.hpp"
#include "proxy/session/neighbour_lodges.hpp"

namespace proxy {

namespace sqlstate = pgwire::sqlstate;

namespace {

// A cancel request's own bound.
constexpr std::chrono::seconds most_cancelling{10};

}  // namespace

client_session::client_session(worker& home, visitor who, counted place)
    : home_(home),
      id_(home.shared().next_session_id.fetch_add(1, std::memory_order_relaxed)),
      peer_(who.peer),
      visitor_(std::move(who)),
      in_worker_(std::move(place)),
      client_(home.context()),
      from_client_(home, client_, pgwire::most_login_message),
      meter_(home.shared().accounts, home.shared().shared_accounts, home.shared().times),
      deadline_(clock::now() + home.current()->settings->timeouts.startup) {
  client_.adopt(visitor_->peer.data()->sa_family, visitor_->descriptor);
  home_.enter(*this);
}

client_session::~client_session() { home_.leave(*this); }

// Coming in and leaving are coroutines of their own: an idle session keeps this frame and that of `stay`'s.
task<void> client_session::run(std::shared_ptr<client_session> self) {
  seldom<ending> why = co_await self->arrive(self);
  if (why) {
    self->count_refusal(*why);
  } else {
    why = co_await self->stay(self);
  }
  co_await self->finish(std::move(why));
}

// It was not greeted. Most of those have no account.
void client_session::count_refusal(const ending& why) const {
  const ending& told = ending_ ? *ending_ : why;
  if (told.tell_client) home_.shared().refused.add(told.report.code);
}

task<void> client_session::finish(seldom<ending> why) {
  stirs();
  if (pooled_) why = co_await pooled_->leave(std::move(why));
  if (ending_) why = *ending_;  // whatever failed, failed because of it
  co_await goodbye(*why);
}

task<seldom<ending>> client_session::arrive(std::shared_ptr<client_session> self) {
  if (auto over = co_await hear_request()) co_return std::move(over);
  if (auto over = co_await take_in()) co_return std::move(over);
  if (console_) co_return std::nullopt;
  if (shares_connections()) {
    pool();
    if (ending_) co_return *ending_;
    const bool long_key = version_ == pgwire::protocol_version{3, 2};
    co_return co_await pooled_->greet(std::move(self), long_key ? secret_bytes_3_2 : secret_bytes_3_0);
  }
  if (route_->waits) co_return ending::nameless();
  if (auto refused = co_await reserve()) co_return std::move(refused);
  if (auto failed = co_await enter()) co_return std::move(failed);
  request_.reset();
  co_return std::nullopt;
}

// Until the end. No coroutine of its own, since an idle session would keep a frame for it.
task<seldom<ending>> client_session::stay(std::shared_ptr<client_session> self) {
  if (console_) return converse_until_end();
  if (pooled_) return pooled_->converse();
  return relay_until_end(std::move(self));
}

void client_session::pool() {
  pooled_standing standing{std::move(*who_), std::move(*request_), std::move(*route_)};
  pooled_session::host& around = *this;
  pooled_ = std::make_unique<pooled_session>(id_, home_, client_, from_client_, around, meter_, std::move(standing));
  request_.reset();
  who_.reset();
  route_.reset();
  state_ = session_state::pooled;
  deadline_ = clock::time_point::max();
  if (draining_) pooled_->leave_when_idle(ending::lodge_closes());
}

task<seldom<ending>> client_session::converse_until_end() {
  state_ = session_state::console;
  deadline_ = clock::time_point::max();
  if (ending_) co_return *ending_;
  if (draining_) co_return ending::lodge_closes();
  co_return co_await console_->run();
}

task<ending> client_session::pass_cancel_on(const pgwire::cancel_key& presented) {
  state_ = session_state::cancelling;
  deadline_ = clock::now() + most_cancelling;
  const auto from_neighbour = without_mark(presented);
  auto request = home_.shared().cancels.find(from_neighbour ? *from_neighbour : presented);
  if (!request && !from_neighbour) {
    const auto settings = home_.current()->settings;
    co_await home_.shared().neighbours.pass_on(home_, *settings, presented);
  }
  if (!request) co_return ending::quiet("a cancel request with a key that no session here has");
  own_ = std::make_unique<own_server>(home_.context());
  own_->cancel_dial.emplace(home_, own_->link);
  co_await forward_cancel(*own_->cancel_dial, own_->link, *request);
  co_return ending::quiet("a cancel request was passed on");
}

task<void> client_session::goodbye(const ending& why) {
  relay* const carries = relaying();
  if (why.tell_client) meter_.error();
  if (carries != nullptr) carries->settle_account(clock::now());
  if (pooled_) pooled_->settle_account();
  if (route_ && carries == nullptr) {
    desk::traffic_tally nothing;
    meter_.settle(nothing, route_->limits, clock::now());
  }
  const bool pooled_whole = !pooled_ || pooled_->client_stream_whole();
  state_ = session_state::leaving;
  deadline_ = clock::now() + most_lingering;
  if (own_) let_go_of_server();

  log_end(why);
  // It may be much, and the client may take its time to leave.
  if (pooled_) pooled_->forget_client();
  from_client_.rest();
  if (client_.owes()) co_await client_.settle();
  const bool console_whole = !console_ || console_->client_stream_whole();
  const bool stream_whole = console_whole && pooled_whole && (carries == nullptr || carries->client_stream_whole());
  if (why.tell_client && stream_whole) {
    const std::string told = why.as_it_came.empty() ? pgwire::encode_error(why.report) : why.as_it_came;
    co_await say_farewell(home_, client_, told);
  }
  client_.close();
}

void client_session::let_go_of_server() {
  if (leave_behind()) return;
  own_->cancel_handle = {};
  if (own_->relaying && own_->link.is_open() && own_->relaying->server_stream_whole()) {
    static_cast<void>(own_->link.write_some(as_bytes(pgwire::frontend::terminate{}.encode())));
  }
  own_->link.close();
  if (own_->reserved) own_->reserved->release();
}

// One line for each session that came in, and for each that was told why not. Whoever leaves before it has said what
// it wants, as health checks do, is nobody's story.
void client_session::log_end(const ending& why) const {
  const std::string reason =
      why.tell_client ? why.report.severity + " " + why.report.code + ": " + why.report.message : why.report.message;
  if (!route_ && !pooled_) {
    const auto level = why.tell_client ? spdlog::level::info : spdlog::level::debug;
    desk::say_bounded_of(log_level(), level, "{}: {}", name(), reason);
    return;
  }
  const auto& all = meter_.so_far();
  const std::chrono::duration<double> length = clock::now() - since_;
  desk::say_of(log_level(), spdlog::level::info, "{}: ends after {:.3f} s, {} transactions, {} bytes in, {} out: {}",
               name(), length.count(), all.transactions, all.bytes_in, all.bytes_out, reason);
}

std::optional<clock::time_point> client_session::on_tick(clock::time_point now) {
  std::optional<clock::time_point> idle_since;
  if (now >= deadline_) {
    if (state_ == session_state::leaving || state_ == session_state::cancelling) {
      cancel_waits();
    } else if (!ending_) {
      end_with(ending::fatal(sqlstate::query_canceled, "the startup took too long", "timeouts.startup has passed."));
    }
  }
  if (own_ && own_->login) own_->login->on_tick(now);
  if (state_ == session_state::entering && own_->reserved) own_->reserved->on_tick(now);
  if (state_ == session_state::relaying) keep_limits(now);
  if (state_ == session_state::pooled) idle_since = pooled_->on_tick(now);
  if (state_ == session_state::console) console_->on_tick(now);
  const bool waits_without_reading = state_ == session_state::held || state_ == session_state::entering ||
                                     (state_ == session_state::relaying && own_->relaying->pausing());
  if (waits_without_reading && !ending_ && client_.peer_closed()) end_with(ending::quiet("the client left"));
  // A cancellation is lost on a wait that had just ended; the next wait must end as well.
  if (ending_ && state_ != session_state::leaving) cancel_waits();
  return ending_ ? std::nullopt : idle_since;
}

void client_session::on_publish() {
  if (state_ == session_state::held) {
    held_->released.cancel();
  } else if (state_ == session_state::entering) {
    own_->reserved->cancel();
  } else if (state_ == session_state::pooled) {
    pooled_->on_publish();
  } else if (state_ == session_state::console) {
    console_->on_publish();
  } else if (state_ == session_state::relaying) {
    const auto now = look_up(who());
    if (now) obey(*now);
    when_idle_ = why_leave(now);
    own_->relaying->leave_when_idle(when_idle_.has_value());
  }
}

void client_session::on_closing(closing how) {
  if (how == closing::succeeded) {
    if (console_) console_->leave_when_idle(ending::succeeded());
    return;
  }
  stirs();
  if (how == closing::drain && state_ == session_state::relaying) {
    draining_ = true;
    on_publish();
  } else if (how == closing::drain && state_ == session_state::pooled) {
    draining_ = true;
    pooled_->leave_when_idle(ending::lodge_closes());
  } else if (how == closing::drain && state_ == session_state::console) {
    draining_ = true;
    console_->leave_when_idle(ending::lodge_closes());
  } else if (how == closing::drain && state_ == session_state::cancelling) {
    return;  // it is short, and somebody waits for it
  } else {
    end_with(ending::lodge_closes());
  }
}

void client_session::end_with(ending why) {
  if (state_ == session_state::leaving || ending_) return;
  stirs();
  ending_ = std::move(why);
  if (relay* const carries = relaying()) carries->leave_now();
  if (pooled_) pooled_->leave_now(*ending_);
  if (console_) console_->leave_now(*ending_);
  cancel_waits();
}

void client_session::cancel_waits() {
  client_.cancel();
  if (held_) held_->released.cancel();
  if (auth_) auth_->cancel();
  if (pooled_) pooled_->cancel_waits();
  if (console_) console_->cancel_waits();
  if (!own_) return;
  own_->link.cancel();
  if (own_->reserved) own_->reserved->cancel();
  if (own_->login) own_->login->cancel();
  if (own_->cancel_dial) own_->cancel_dial->cancel();
}

desk::own_level client_session::log_level() const {
  const auto word = home_.current()->overrides->log_level_of(who().tenant.str());
  if (word.empty()) return std::nullopt;
  return spdlog::level::from_str(std::string(word));
}

const routing::identity& client_session::who() const {
  static const routing::identity nobody;
  if (pooled_) return pooled_->who();
  return who_ ? *who_ : nobody;
}

std::string client_session::name() const {
  std::string text = "session " + std::to_string(id_) + " from " + describe(peer_.whole());
  if (!who().tenant.empty()) text += ", tenant " + who().tenant.str();
  return text;
}

}  // namespace proxy
