#include "proxy/session/session_meter.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "protocol/sqlstate.hpp"

namespace proxy {

namespace sqlstate = pgwire::sqlstate;

// A rate that the session draws on, and whose it is.
struct session_meter::rate {
  enum class unit : std::uint8_t { statements, bytes };
  desk::rate_limit& bucket;
  desk::rate_limit::terms by;
  unit of;
  routing::limit_owner whose;

  // Of one statement, before it runs: how many bytes it will be nobody knows.
  [[nodiscard]] std::uint64_t price() const { return of == unit::statements ? 1 : 0; }
  [[nodiscard]] std::string in_words() const {
    const auto is = [&](std::string_view key, std::uint64_t number) {
      return whose.path(key) + " is " + std::to_string(number);
    };
    if (of == unit::bytes) return is("bytes_per_second", by.per_second) + ".";
    return is("queries_per_second", by.per_second) + ", " + whose.path("burst") + " " + std::to_string(by.burst) + ".";
  }
};

struct session_meter::delay {
  clock::duration is{};
  std::optional<rate> at;
};

template <class Visit>
void session_meter::for_each_rate(const routing::limits& limits, Visit visit) {
  // What a second brings may come at once.
  const auto look = [&](auto& account, const routing::limits& of, routing::limit_owner whose) {
    if (of.bytes_per_second) {
      visit(rate{account.bytes, {*of.bytes_per_second, *of.bytes_per_second}, rate::unit::bytes, whose});
    }
    if (of.queries_per_second) {
      const std::uint64_t burst = of.burst.value_or(*of.queries_per_second);
      visit(rate{account.statements, {*of.queries_per_second, burst}, rate::unit::statements, whose});
    }
  };
  if (!account_) return;
  look(*account_.get(), limits, {});
  for (const membership& one : memberships_) {
    look(*one.among.get(), one.terms->limits, routing::limit_owner(*one.terms));
  }
}

std::expected<void, routing::limit_owner> session_meter::enter(const routing::route& where) {
  const std::string& tenant = where.tenant.str();
  std::optional<desk::tenant_account::visit> entered;
  if (!account_ || account_->tenant() != tenant) {
    const auto account = accounts_.of(tenant, where.named ? desk::named_by::table : desk::named_by::client);
    entered = account->enter(where.limits.clients);
    if (!entered) return std::unexpected(routing::limit_owner());
  }
  auto joined = join(where.shared, by_clients::limited);
  if (!joined) return std::unexpected(joined.error());
  if (entered) {
    if (account_) account_->add(std::exchange(pending_, {}));
    account_ = std::move(*entered);
    paid_ = 0;
  }
  take_up(std::move(*joined));
  return {};
}

void session_meter::share(const routing::shared_limits_list& limits) {
  if (!account_ || (limits.empty() && memberships_.empty())) return;
  if (auto joined = join(limits, by_clients::unlimited)) take_up(std::move(*joined));
}

// Where it is already its visit stays with `memberships_`, and `take_up` brings it along.
std::expected<std::vector<session_meter::membership>, routing::limit_owner> session_meter::join(
    const routing::shared_limits_list& limits, by_clients how) const {
  std::vector<membership> next;
  for (const auto& terms : limits) {
    const auto account = shared_accounts_.of(*terms);
    const auto is_there = [&](const membership& one) { return one.among.get() == account.get(); };
    desk::shared_account::visit among;
    if (std::ranges::none_of(memberships_, is_there)) {
      auto entered = account->enter(how == by_clients::limited ? terms->limits.clients : std::nullopt);
      if (!entered) return std::unexpected(routing::limit_owner(*terms));
      among = std::move(*entered);
    }
    next.push_back({terms, std::move(among)});
  }
  return next;
}

void session_meter::take_up(std::vector<membership> next) {
  for (membership& one : next) {
    if (one.among) continue;
    const auto is_it = [&](const membership& old) {
      return old.terms->of == one.terms->of && old.terms->name == one.terms->name;
    };
    one.among = std::move(std::ranges::find_if(memberships_, is_it)->among);
  }
  memberships_ = std::move(next);
}

bool session_meter::shares_rates() const {
  return std::ranges::any_of(memberships_, [](const membership& one) { return one.terms->limits.has_rates(); });
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
std::optional<clock::duration> session_meter::follow(const statement_rounds& at, std::optional<clock::time_point> now) {
  const std::uint32_t ended = at.ended - std::exchange(rounds_ended_, at.ended);
  if (ended == 0) {
    if (at.open && !round_since_) round_since_ = now ? *now : clock::now();
    return std::nullopt;
  }
  if (!round_since_) return std::nullopt;  // nothing ran: a Sync by itself
  if (!now) now = clock::now();
  const auto each = (*now - *round_since_) / ended;
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(each);
  for (std::uint32_t i = 0; i < ended; ++i) {
    times_.queries.observe(took);
    if (account_) account_->queries.observe(took, *now);
  }
  round_since_ = at.open ? moment(*now) : moment();
  return each;
}

void session_meter::settle(desk::traffic_tally& traffic, const routing::limits& limits, clock::time_point now) {
  if (!account_) return;
  if (busy_since_ && now > *busy_since_) pending_.busy += microseconds(now - *std::exchange(busy_since_, now));
  pending_.rows += traffic.rows;
  pending_.transactions += traffic.transactions;
  pending_.statements += traffic.statements;
  pending_.errors += traffic.errors;
  const std::uint32_t prepaid = std::min(paid_, traffic.statements);
  paid_ -= prepaid;
  for_each_rate(limits, [&](const rate& one) {
    const bool by_statement = one.of == rate::unit::statements;
    const std::uint64_t amount = by_statement ? traffic.statements - prepaid : pending_.bytes_in + pending_.bytes_out;
    if (amount > 0) one.bucket.charge(one.by, amount, now);
  });
  so_far_.transactions += traffic.transactions;
  so_far_.bytes_in += pending_.bytes_in;
  so_far_.bytes_out += pending_.bytes_out;
  traffic = {};
  account_->add(std::exchange(pending_, {}));
}

std::expected<clock::duration, pgwire::error_report> session_meter::pace(const routing::limits& limits,
                                                                         clock::time_point now, clock::duration most) {
  clock::duration wait{};
  std::optional<pgwire::error_report> refused;
  int had = 0;
  for_each_rate(limits, [&](const rate& one) {
    if (refused) return;
    if (const auto due = one.bucket.take(one.by, one.price(), now, most)) {
      wait = std::max(wait, *due);
      paid_ = 1;
      ++had;
    } else {
      refused = too_fast(one);
    }
  });
  if (!refused) return wait;
  // It is counted as a statement, and costs nothing: or who asks again and again would run into debt.
  paid_ = 1;
  for_each_rate(limits, [&](const rate& one) {
    if (had-- > 0) one.bucket.give_back(one.by, one.price());
  });
  return std::unexpected(std::move(*refused));
}

session_meter::delay session_meter::longest_delay(const routing::limits& limits, clock::time_point now, owed what) {
  delay longest;
  for_each_rate(limits, [&](const rate& one) {
    const auto due = one.bucket.wait_for(one.by, what == owed::so_far ? 0 : one.price(), now);
    if (due <= longest.is) return;
    longest.is = due;
    longest.at.emplace(one);
  });
  return longest;
}

clock::duration session_meter::debt(const routing::limits& limits, clock::time_point now) {
  return longest_delay(limits, now, owed::so_far).is;
}

pgwire::error_report session_meter::too_fast(const rate& which) {
  return {"ERROR", std::string(sqlstate::limit_exceeded),
          "the " + std::string(which.whose.kind()) + "'s rate is used up", which.in_words(),
          "Try again later, or raise the limit."};
}

pgwire::error_report session_meter::waits_for_rate(const routing::limits& limits, clock::time_point now) {
  const delay longest = longest_delay(limits, now, owed::with_the_next);
  const std::string whose(longest.at ? longest.at->whose.kind() : routing::limit_owner().kind());
  return {"NOTICE", "00000", "waiting for the " + whose + "'s rate", longest.at ? longest.at->in_words() : "", {}};
}

}  // namespace proxy
