// One session's part in its tenant's account: what it has used since it last told, and how fast it may go on.
//
// For the session's worker only. Counting is adding to members; the account hears of it by `settle`, at the end of a
// transaction and a few times a second.
#pragma once

#include <cstdint>
#include <optional>

#include "protocol/error_response.hpp"
#include "proxy/desk/duration_histogram.hpp"
#include "proxy/desk/tenant_account.hpp"
#include "proxy/desk/traffic_tally.hpp"
#include "proxy/io.hpp"
#include "proxy/session/statement_round.hpp"
#include "routing/route.hpp"

namespace proxy {

class session_meter {
 public:
  session_meter(desk::tenant_accounts& accounts, desk::session_times& times) : accounts_(accounts), times_(times) {}

  /// The session is the route's tenant's from now on. False: that has as many clients as its limit says, and the
  /// session stays whose it was.
  [[nodiscard]] bool enter(const routing::route& where);

  void bytes_in(std::size_t n) { pending_.bytes_in += n; }
  void bytes_out(std::size_t n) { pending_.bytes_out += n; }
  void error() { ++pending_.errors; }
  void waited(clock::duration time);
  void lease_began(clock::time_point now) {
    leased_at_ = now;
    busy_since_ = now;
  }
  void lease_ended(clock::time_point now);

  /// Looks where the session is with its rounds. Gives how long one took that has ended since the last look.
  std::optional<clock::duration> follow(const statement_rounds& at);

  /// Tells the account what was counted, what the traffic came to included. A statement of `limits` was paid for
  /// by `pace` already, if `paid`.
  void settle(desk::traffic_tally& traffic, const routing::limits& limits, clock::time_point now);

  /// Of the whole session, as far as it was settled, for the log.
  struct totals {
    std::uint64_t transactions = 0, bytes_in = 0, bytes_out = 0;
  };
  [[nodiscard]] const totals& so_far() const { return so_far_; }

  /// Whether the tenant's rates have to be asked before a statement.
  [[nodiscard]] static bool is_paced(const routing::limits& limits) {
    return limits.queries_per_second.has_value() || limits.bytes_per_second.has_value();
  }
  /// How long the next statement has to wait for the tenant's rates; nothing: longer than `most`. The statement is paid
  /// for then; `settle` charges the others.
  [[nodiscard]] std::optional<clock::duration> pace(const routing::limits& limits, clock::time_point now,
                                                    clock::duration most);
  /// How long the tenant has to wait for its rates until what it has had already is paid for.
  [[nodiscard]] clock::duration debt(const routing::limits& limits, clock::time_point now);
  /// For who would have had to wait for too long.
  [[nodiscard]] static pgwire::error_report too_fast(const routing::limits& limits);

 private:
  static std::uint64_t microseconds(clock::duration time) {
    return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
  }

  desk::tenant_accounts& accounts_;
  desk::session_times& times_;
  desk::tenant_account::visit account_;
  desk::usage_counts pending_;
  std::optional<clock::time_point> busy_since_;  ///< of what the account has not heard of yet
  clock::time_point leased_at_;
  std::optional<clock::time_point> round_since_;
  std::uint32_t rounds_ended_ = 0;
  totals so_far_;
  std::uint32_t paid_ = 0;  ///< statements that `settle` does not charge any more
};

}  // namespace proxy
