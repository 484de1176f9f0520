// What a pooled session may use, and what is counted and told of it.
#include "protocol/error_response.hpp"
#include "proxy/session/forward_cancel.hpp"
#include "proxy/session/pooled_session.hpp"
#include "proxy/session/slow_statement.hpp"
#include "proxy/worker.hpp"

namespace proxy {

void pooled_session::settle_lease(clock::time_point now) {
  meter_.lease_ended(now);
  meter_.settle(traffic_.tally(), where().limits, now);
}

void pooled_session::watch_statements() {
  traffic_.shown().watch(where().limits.log_min_duration_statement.has_value());
}

void pooled_session::follow_rounds(std::optional<clock::time_point> now) {
  const auto took = meter_.follow(traffic_.rounds(), now);
  if (!took || !traffic_.shown().watching()) return;
  const auto& least = where().limits.log_min_duration_statement;
  if (least && *took >= *least) log_slow(around_.log_level(), around_.name(), *took, traffic_.shown().text());
  traffic_.shown().clear();
}

// Those in time. What was used so far is told meanwhile.
void pooled_session::keep_limits(clock::time_point now) {
  using exceeded = time_limits::exceeded;
  const time_limits::terms limits{where().in_force(), home_.current()->settings->timeouts.idle};
  meter_.settle(traffic_.tally(), where().limits, now);
  traffic_moment at = traffic_.moment();
  at.waits = waiting_since_.has_value() || !traffic_.client_at_boundary();
  const exceeded what = time_.look(at, limits, now);
  if (what == exceeded::none || end_) return;
  if (what == exceeded::query_time) {
    auto cancel = cancel_.own_request();
    if (!cancel || !cancel->is_only()) return;
    auto why = time_limits::report(what, limits);
    desk::say_of(around_.log_level(), spdlog::level::info, "{}: {}: {}", around_.name(), why.message, why.detail);
    traffic_.explain_cancel(std::move(why));
    send_cancel(home_, std::move(*cancel));
    return;
  }
  // A server notices that its client is gone when it next talks to it: what runs is told to stop.
  if (auto cancel = at.running ? cancel_.own_request() : std::nullopt) {
    send_cancel(home_, std::move(*cancel));
  }
  ending over;
  over.report = time_limits::report(what, limits);
  leave_now(std::move(over));
}

// Rates come before a place in the queue, so that nobody holds a connection and waits for them.
task<std::optional<ending>> pooled_session::keep_pace() {
  const routing::limits limits = where().limits;
  const auto begun = clock::now();
  waits_for_rate_ = true;
  auto due = meter_.pace(limits, begun, most_waiting());
  const auto until = begun + due.value_or(most_waiting());
  while (clock::now() < until && !end_ && !cancel_.requested()) co_await sleep_until(until);
  waits_for_rate_ = false;
  if (end_) co_return *end_;
  if (cancel_.requested()) co_return ending::cancelled();
  if (due) co_return std::nullopt;
  ending refused;
  refused.report = std::move(due.error());
  co_return refused;
}

// What a wait would fail by if it were over now.
std::string pooled_session::why_waiting() const {
  if (!pool_) return {};
  if (pool_->out_of_reach()) return "No primary of server \"" + where().server->name + "\" can be reached.";
  return ending::none_free(where(), pool_->bound_of(where().tenant.str(), where().database)).report.detail;
}

// A notice may stand between any two messages (PostgreSQL docs, 55.2.7), but only of what the client was greeted by.
void pooled_session::tell_of_waiting(clock::time_point now) {
  const auto after = home_.current()->settings->timeouts.query_wait_notify;
  const bool due = waiting_since_ && greeted_ && !end_ && after.count() > 0 && now - *waiting_since_ >= after;
  if (!due || told_of_waiting_ || !client_stream_whole()) return;
  told_of_waiting_ = true;
  pgwire::error_report notice{"NOTICE", "00000", "waiting for a server connection", {}, {}};
  if (waits_for_rate_) {
    notice = meter_.waits_for_rate(where().limits, now);
  } else if (where().state == routing::tenant_state::held) {
    notice.message = where().paused ? "waiting for database \"" + where().database + "\" to be resumed"
                                    : "waiting for " + routing::in_words(where().tenant) + " to be released";
  } else {
    notice.detail = why_waiting();
  }
  byte_run told;
  told.insert(pgwire::encode_notice(notice));
  send_to_client(told);
}

}  // namespace proxy
