// One session's part in the accounts where it is counted: what it has used since it last told, and how fast it may go
// on. Its use is its tenant's; the limits may also be its role's and its database's, where those have any, and then it
// is one of their clients and draws on their rates, too.
//
// For the session's worker only. Counting is adding to members; the accounts hear of it by `settle`, at the end of a
// transaction and a few times a second.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <vector>

#include "protocol/error_response.hpp"
#include "proxy/desk/duration_histogram.hpp"
#include "proxy/desk/shared_account.hpp"
#include "proxy/desk/tenant_account.hpp"
#include "proxy/desk/traffic_tally.hpp"
#include "proxy/io.hpp"
#include "proxy/moment.hpp"
#include "proxy/session/statement_round.hpp"
#include "routing/route.hpp"

namespace proxy {

class session_meter {
 public:
  session_meter(desk::tenant_accounts& accounts, desk::shared_accounts& shared, desk::session_times& times)
      : accounts_(accounts), shared_accounts_(shared), times_(times) {}

  /// The session is the route's tenant's, role's and database's from now on. Otherwise, whose limit of clients is
  /// reached (it refers to the route), and the session stays where it was.
  [[nodiscard]] std::expected<void, routing::limit_owner> enter(const routing::route& where);
  /// By another table these are the shared limits of a session that has entered. It stays, however many there are.
  void share(const routing::shared_limits_list& limits);

  void bytes_in(std::size_t n) { pending_.bytes_in += n; }
  void bytes_out(std::size_t n) { pending_.bytes_out += n; }
  void error() { ++pending_.errors; }
  void waited(clock::duration time);
  void lease_began(clock::time_point now) {
    leased_at_ = now;
    busy_since_ = now;
  }
  void lease_ended(clock::time_point now);
  /// How long the latest has lasted.
  [[nodiscard]] clock::duration leased_for(clock::time_point now) const { return now - leased_at_; }

  /// Looks where the session is with its rounds. Gives how long one took that has ended since the last look. `now`
  /// spares a look at the clock, where there is need of one.
  std::optional<clock::duration> follow(const statement_rounds& at, std::optional<clock::time_point> now = {});

  /// Tells the account what was counted, what the traffic came to included, and charges the rates with it, but for
  /// statements that `pace` was paid for already.
  void settle(desk::traffic_tally& traffic, const routing::limits& limits, clock::time_point now);

  /// Of the whole session, as far as it was settled, for the log.
  struct totals {
    std::uint64_t transactions = 0, bytes_in = 0, bytes_out = 0;
  };
  [[nodiscard]] const totals& so_far() const { return so_far_; }

  // `limits` are the tenant's; those that it shares the meter knows.

  /// Whether rates have to be asked before a statement.
  [[nodiscard]] bool is_paced(const routing::limits& limits) const {
    return limits.has_rates() || (!memberships_.empty() && shares_rates());
  }
  /// How long the next statement has to wait for the slowest of its rates; otherwise it would be longer than `most`,
  /// with what the client is told. The statement is paid for then; `settle` charges the others.
  [[nodiscard]] std::expected<clock::duration, pgwire::error_report> pace(const routing::limits& limits,
                                                                          clock::time_point now, clock::duration most);
  /// How long to wait until what was had already is paid for at all of the rates.
  [[nodiscard]] clock::duration debt(const routing::limits& limits, clock::time_point now);
  /// For who waits: which of the rates it is that takes longest.
  [[nodiscard]] pgwire::error_report waits_for_rate(const routing::limits& limits, clock::time_point now);

 private:
  // Where it is counted beside its tenant.
  struct membership {
    routing::shared_limits_ptr terms;
    desk::shared_account::visit among;
  };
  enum class by_clients : std::uint8_t { limited, unlimited };
  [[nodiscard]] std::expected<std::vector<membership>, routing::limit_owner> join(
      const routing::shared_limits_list& limits, by_clients how) const;
  void take_up(std::vector<membership> next);
  [[nodiscard]] bool shares_rates() const;

  struct rate;
  template <class Visit>
  void for_each_rate(const routing::limits& limits, Visit visit);
  [[nodiscard]] static pgwire::error_report too_fast(const rate& which);
  struct delay;
  enum class owed : std::uint8_t {
    so_far,
    with_the_next,  // statement
  };
  [[nodiscard]] delay longest_delay(const routing::limits& limits, clock::time_point now, owed what);

  static std::uint64_t microseconds(clock::duration time) {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
  }

  desk::tenant_accounts& accounts_;
  desk::shared_accounts& shared_accounts_;
  desk::session_times& times_;
  desk::tenant_account::visit account_;
  std::vector<membership> memberships_;  ///< most sessions have none
  desk::usage_counts pending_;
  moment busy_since_;  ///< of what the account has not heard of yet
  clock::time_point leased_at_;
  moment round_since_;
  std::uint32_t rounds_ended_ = 0;
  totals so_far_;
  std::uint32_t paid_ = 0;  ///< statements that `settle` does not charge any more
};

}  // namespace proxy
