#include "proxy/session/time_limits.hpp"

#include <string>

namespace proxy {
namespace {

// A cancel request that has done nothing by then was lost.
constexpr std::chrono::seconds time_for_a_cancel{5};

bool is_over(const std::optional<clock::time_point>& since, const std::optional<std::chrono::milliseconds>& limit,
             clock::time_point now) {
  return since && limit && limit->count() > 0 && now - *since >= *limit;
}

std::string in_words(const std::optional<std::chrono::milliseconds>& limit) {
  return std::to_string(limit.value_or(std::chrono::milliseconds(0)).count()) + "ms";
}

}  // namespace

void time_limits::keep(since& one, bool is_so, clock::time_point now) {
  if (!is_so) {
    one.reset();
  } else if (!one) {
    one = now;
  }
}

time_limits::exceeded time_limits::look(const traffic_moment& now_at, const terms& by, clock::time_point now) {
  if (now_at.steps != at_.steps) {
    running_.reset();
    idle_.reset();
    told_.reset();
    told_again_ = false;
  }
  if (now_at.transactions != at_.transactions) transaction_.reset();
  at_ = now_at;
  keep(running_, at_.running, now);
  keep(idle_, !at_.running && !at_.waits, now);
  keep(transaction_, at_.in_transaction, now);
  const routing::limits& limits = by.tenant;
  if (is_over(transaction_, limits.transaction_time, now)) return exceeded::transaction_time;
  if (at_.in_transaction && is_over(idle_, limits.idle_in_transaction, now)) return exceeded::idle_in_transaction;
  if (!at_.in_transaction && is_over(idle_, by.idle, now)) return exceeded::idle;
  if (!is_over(running_, limits.query_time, now)) return exceeded::none;
  const bool again = told_ && !told_again_ && now - *told_ >= time_for_a_cancel;
  if (told_ && !again) return exceeded::none;
  told_again_ = again;
  told_ = now;
  return exceeded::query_time;
}

// The SQLSTATEs are those of the server's own timeouts (PostgreSQL docs, appendix A; 25P04 since version 17).
pgwire::error_report time_limits::report(exceeded what, const terms& by) {
  const routing::limits& limits = by.tenant;
  switch (what) {
    case exceeded::query_time:
      return {"ERROR",
              "57014",
              "canceling statement due to the tenant's limit",
              "limits.query_time is " + in_words(limits.query_time) + ".",
              {}};
    case exceeded::transaction_time:
      return {"FATAL",
              "25P04",
              "terminating connection due to the tenant's limit on transactions",
              "limits.transaction_time is " + in_words(limits.transaction_time) + ".",
              {}};
    case exceeded::idle_in_transaction:
      return {"FATAL",
              "25P03",
              "terminating connection due to the tenant's limit on idle transactions",
              "limits.idle_in_transaction is " + in_words(limits.idle_in_transaction) + ".",
              {}};
    case exceeded::idle:
      return {"FATAL",
              "57P05",
              "terminating connection due to idle timeout",
              "timeouts.idle is " + in_words(by.idle) + ".",
              {}};
    case exceeded::none: break;
  }
  return {};
}

}  // namespace proxy
