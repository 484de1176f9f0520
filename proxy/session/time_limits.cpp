#include "proxy/session/time_limits.hpp"

#include <string>
#include <string_view>

namespace proxy {
namespace {

// A cancel request that has done nothing by then was lost; or the server does not listen to any, as while it waits for
// COPY data, or for its client to take a result.
constexpr std::chrono::seconds time_for_a_cancel{5};

bool is_over(const moment& since, std::chrono::milliseconds limit, clock::time_point now) {
  return since && limit.count() > 0 && now - *since >= limit;
}

std::string in_words(std::string_view name, std::chrono::milliseconds limit) {
  return std::string(name) + " is " + std::to_string(limit.count()) + "ms.";
}

}  // namespace

void time_limits::keep(moment& since, bool is_so, clock::time_point now) {
  if (!is_so) {
    since.reset();
  } else if (!since) {
    since = now;
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
  const auto limit = [&](routing::limits_in_force::time_of which) { return by.limits.shortest(which).is; };
  using routing::limits;
  if (is_over(transaction_, limit(&limits::transaction_time), now)) return exceeded::transaction_time;
  if (at_.in_transaction && is_over(idle_, limit(&limits::idle_in_transaction), now)) {
    return exceeded::idle_in_transaction;
  }
  if (!at_.in_transaction && is_over(idle_, by.idle, now)) return exceeded::idle;
  if (!is_over(running_, limit(&limits::query_time), now)) return exceeded::none;
  if (told_ && now - *told_ < time_for_a_cancel) return exceeded::none;
  if (told_again_) return exceeded::unheeded;
  told_again_ = told_.has_value();
  told_ = now;
  return exceeded::query_time;
}

// The SQLSTATEs are those of the server's own timeouts (PostgreSQL docs, appendix A; 25P04 since version 17).
pgwire::error_report time_limits::report(exceeded what, const terms& by) {
  using routing::limits;
  const auto of_limit = [&](std::string_view severity, std::string_view sqlstate,
                            routing::limits_in_force::time_of which, std::string_view key, std::string_view before,
                            std::string_view after) {
    const auto limit = by.limits.shortest(which);
    const std::string message = std::string(before) + std::string(limit.whose.kind()) + "'s limit" + std::string(after);
    return pgwire::error_report{
        std::string(severity), std::string(sqlstate), message, in_words(limit.whose.path(key), limit.is), {}};
  };
  constexpr std::string_view closing = "terminating connection due to the ";
  switch (what) {
    case exceeded::query_time:
      return of_limit("ERROR", "57014", &limits::query_time, "query_time", "canceling statement due to the ", "");
    case exceeded::unheeded:
      return of_limit("FATAL", "57014", &limits::query_time, "query_time", closing, " on statements");
    case exceeded::transaction_time:
      return of_limit("FATAL", "25P04", &limits::transaction_time, "transaction_time", closing, " on transactions");
    case exceeded::idle_in_transaction:
      return of_limit("FATAL", "25P03", &limits::idle_in_transaction, "idle_in_transaction", closing,
                      " on idle transactions");
    case exceeded::idle:
      return {"FATAL", "57P05", "terminating connection due to idle timeout", in_words("timeouts.idle", by.idle), {}};
    case exceeded::none: break;
  }
  return {};
}

}  // namespace proxy
