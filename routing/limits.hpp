// What a session may use. Its tenant has limits, and so may its role and its database have, which hold for all their
// sessions together.
//
// Each of them holds by itself: none lifts another's. `limits_in_force` is all that a session obeys, so that whoever
// keeps limits of a kind does so in one way, whoever they belong to, and can say whose it was.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace routing {

/// Nothing given means no limit; `wait` is how long a client may be made to wait for anything.
struct limits {
  std::optional<std::uint32_t> clients, connections, min_connections, weight, queries_per_second, burst;
  std::optional<std::uint64_t> bytes_per_second;
  std::optional<std::chrono::milliseconds> query_time, transaction_time, idle_in_transaction, wait;
  std::optional<std::chrono::milliseconds> log_min_duration_statement;  ///< what takes as long is logged

  [[nodiscard]] bool has_rates() const { return queries_per_second || bytes_per_second; }
  friend bool operator==(const limits&, const limits&) = default;
};

/// Who shares limits, whatever the tenants.
enum class sharer : std::uint8_t {
  role,      ///< all sessions that log in as it
  database,  ///< all that live there, in whichever database of its server
};

struct shared_limits {
  sharer of = sharer::role;
  std::string name;        ///< as the table has it
  routing::limits limits;  ///< without what only a tenant can have: connections, min_connections, weight, wait, log_...
  friend bool operator==(const shared_limits&, const shared_limits&) = default;
};
using shared_limits_ptr = std::shared_ptr<const shared_limits>;
/// A session's, in the order in which it is counted; none of them null.
using shared_limits_list = std::vector<shared_limits_ptr>;

/// Whose a limit is: the session's own tenant's unless it is made of others. Refers to those.
class limit_owner {
 public:
  limit_owner() = default;
  explicit limit_owner(const shared_limits& of) : shared_(&of) {}

  /// "tenant", "role", "database"
  [[nodiscard]] std::string_view kind() const;
  /// How an operator finds it: "limits.clients", which the tenant's entry or `defaults` may have;
  /// "roles.reporting.limits.clients".
  [[nodiscard]] std::string path(std::string_view key) const;
  /// Null: the tenant's.
  [[nodiscard]] const shared_limits* shared() const { return shared_; }

 private:
  const shared_limits* shared_ = nullptr;
};

/// All that one session obeys. Refers to what it is made of.
class limits_in_force {
 public:
  limits_in_force(const limits& own, std::span<const shared_limits_ptr> shared = {}) : own_(own), shared_(shared) {}

  /// Of a time: the shortest that anybody has. Zero: none has any, for ever being no limit.
  struct time {
    std::chrono::milliseconds is{0};
    limit_owner whose;
  };
  using time_of = std::optional<std::chrono::milliseconds> limits::*;
  [[nodiscard]] time shortest(time_of which) const;

 private:
  const limits& own_;
  std::span<const shared_limits_ptr> shared_;
};

}  // namespace routing
