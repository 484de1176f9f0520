#include "proxy/session/session_meter.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "protocol/sqlstate.hpp"

namespace proxy {
namespace {

namespace sqlstate = pgwire::sqlstate;

std::optional<desk::rate_limit::terms> statement_rate(const routing::limits& limits) {
  if (!limits.queries_per_second) return std::nullopt;
  return desk::rate_limit::terms{*limits.queries_per_second, limits.burst.value_or(*limits.queries_per_second)};
}
// What a second brings may come at once.
std::optional<desk::rate_limit::terms> byte_rate(const routing::limits& limits) {
  if (!limits.bytes_per_second) return std::nullopt;
  return desk::rate_limit::terms{*limits.bytes_per_second, *limits.bytes_per_second};
}

}  // namespace

bool session_meter::enter(const routing::route& where) {
  const std::string& tenant = where.tenant.str();
  if (account_ && account_->tenant() == tenant) return true;
  const auto account = accounts_.of(tenant, where.named ? desk::named_by::table : desk::named_by::client);
  auto entered = account->enter(where.limits.clients);
  if (!entered) return false;
  if (account_) account_->add(std::exchange(pending_, {}));
  account_ = std::move(*entered);
  paid_ = 0;
  return true;
}

void session_meter::waited(clock::duration time) {
  pending_.waiting += microseconds(time);
  times_.waits.observe(std::chrono::duration_cast<std::chrono::microseconds>(time));
}

void session_meter::lease_ended(clock::time_point now) {
  const auto since = std::exchange(busy_since_, std::nullopt);
  if (!since) return;
  pending_.busy += microseconds(now - *since);
  times_.leases.observe(std::chrono::duration_cast<std::chrono::microseconds>(now - leased_at_));
}

// Several that end at one look have shared the time since the first began.
std::optional<clock::duration> session_meter::follow(const statement_rounds& at) {
  const std::uint32_t ended = at.ended - std::exchange(rounds_ended_, at.ended);
  if (ended == 0) {
    if (at.open && !round_since_) round_since_ = clock::now();
    return std::nullopt;
  }
  if (!round_since_) return std::nullopt;  // nothing ran: a Sync by itself
  const auto now = clock::now();
  const auto each = (now - *round_since_) / ended;
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(each);
  for (std::uint32_t i = 0; i < ended; ++i) {
    times_.queries.observe(took);
    if (account_) account_->queries.observe(took, now);
  }
  round_since_ = at.open ? std::optional(now) : std::nullopt;
  return each;
}

void session_meter::settle(desk::traffic_tally& traffic, const routing::limits& limits, clock::time_point now) {
  if (!account_) return;
  if (busy_since_ && now > *busy_since_) pending_.busy += microseconds(now - std::exchange(*busy_since_, now));
  pending_.rows += traffic.rows;
  pending_.transactions += traffic.transactions;
  pending_.statements += traffic.statements;
  pending_.errors += traffic.errors;
  if (const auto rate = statement_rate(limits)) {
    const std::uint32_t prepaid = std::min(paid_, traffic.statements);
    paid_ -= prepaid;
    if (traffic.statements > prepaid) account_->statements.charge(*rate, traffic.statements - prepaid, now);
  }
  if (const auto rate = byte_rate(limits)) {
    const std::uint64_t bytes = pending_.bytes_in + pending_.bytes_out;
    if (bytes > 0) account_->bytes.charge(*rate, bytes, now);
  }
  so_far_.transactions += traffic.transactions;
  so_far_.bytes_in += pending_.bytes_in;
  so_far_.bytes_out += pending_.bytes_out;
  traffic = {};
  account_->add(std::exchange(pending_, {}));
}

std::optional<clock::duration> session_meter::pace(const routing::limits& limits, clock::time_point now,
                                                   clock::duration most) {
  if (!account_) return clock::duration::zero();
  // It is counted as a statement, and costs nothing: or a tenant that asks again and again would run into debt.
  const auto refused = [this] {
    paid_ = 1;
    return std::nullopt;
  };
  clock::duration wait{};
  if (const auto rate = byte_rate(limits)) {
    const auto due = account_->bytes.take(*rate, 0, now, most);
    if (!due) return refused();
    wait = *due;
  }
  if (const auto rate = statement_rate(limits)) {
    const auto due = account_->statements.take(*rate, 1, now, most);
    if (!due) return refused();
    wait = std::max(wait, *due);
    paid_ = 1;
  }
  return wait;
}

clock::duration session_meter::debt(const routing::limits& limits, clock::time_point now) {
  clock::duration wait{};
  if (!account_) return wait;
  constexpr auto any = clock::duration::max();
  if (const auto rate = byte_rate(limits)) wait = account_->bytes.take(*rate, 0, now, any).value_or(wait);
  if (const auto rate = statement_rate(limits)) {
    wait = std::max(wait, account_->statements.take(*rate, 0, now, any).value_or(wait));
  }
  return wait;
}

pgwire::error_report session_meter::too_fast(const routing::limits& limits) {
  std::string detail;
  if (const auto rate = statement_rate(limits)) {
    detail += "limits.queries_per_second is " + std::to_string(rate->per_second) + ", limits.burst " +
              std::to_string(rate->burst) + ".";
  }
  if (const auto rate = byte_rate(limits)) {
    detail += (detail.empty() ? "" : " ") + ("limits.bytes_per_second is " + std::to_string(rate->per_second) + ".");
  }
  return {"ERROR", std::string(sqlstate::limit_exceeded), "the tenant's rate is used up", std::move(detail),
          "Try again later, or raise the limit."};
}

}  // namespace proxy
