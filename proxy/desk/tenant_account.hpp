// What a tenant uses: one account for all its sessions, whatever worker they live on. And the accounts of all tenants
// that have had a session since the start.
//
// A tenant that the table does not name by its id may have been thought up by a client. Of those only so many get an
// account that stays. What others use is counted with the sessions that have no tenant, and they have an account of
// their own, for their limits, only while they have a session.
//
// Sessions add what they have counted at the end of a transaction and a few times a second, so that traffic costs a few
// additions without a lock. Sessions come and go under one, which is where the length of sessions is summed up.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "proxy/desk/account_visit.hpp"
#include "proxy/desk/rate_limit.hpp"
#include "proxy/desk/recent_times.hpp"
#include "proxy/desk/usage_counts.hpp"

namespace proxy::desk {

/// From any thread.
class tenant_account : public std::enable_shared_from_this<tenant_account> {
 public:
  using clock = std::chrono::steady_clock;

  /// `counted_at`: where what it uses is counted, too.
  explicit tenant_account(std::string tenant, std::shared_ptr<tenant_account> counted_at = nullptr)
      : tenant_(std::move(tenant)), counted_at_(std::move(counted_at)) {}
  tenant_account(const tenant_account&) = delete;
  tenant_account& operator=(const tenant_account&) = delete;

  /// Empty: the sessions without a tenant, together.
  [[nodiscard]] const std::string& tenant() const { return tenant_; }

  /// A session of the tenant, as long as it lives.
  using visit = account_visit<tenant_account>;
  /// Nothing: it has `most` already.
  std::optional<visit> enter(std::optional<std::uint32_t> most, clock::time_point now = clock::now());

  /// Of `more`, the length of sessions and their peak are passed over: those are known here.
  void add(const usage_counts& more);
  /// Since the start, up to now.
  [[nodiscard]] usage_counts counts(clock::time_point now = clock::now()) const;
  /// The same, but the peak is that since the last call.
  usage_counts interval_counts();
  [[nodiscard]] std::uint32_t clients() const;

  rate_limit statements;
  rate_limit bytes;
  recent_times queries;

 private:
  friend visit;
  bool come(std::optional<std::uint32_t> most, clock::time_point now);
  void leave();
  void sum_up(clock::time_point now) const;

  const std::string tenant_;
  const std::shared_ptr<tenant_account> counted_at_;
  std::array<std::atomic<std::uint64_t>, all_usage_counts.size()> sums_{};
  mutable std::mutex mutex_;
  std::uint32_t clients_ = 0;
  std::uint32_t peak_ = 0;
  std::uint32_t interval_peak_ = 0;
  // Microseconds, for nanoseconds of all sessions together run over: 10,000 sessions take eleven days to 2^63 of them.
  mutable std::uint64_t summed_up_ = 0;
  mutable std::uint64_t connected_ = 0;
};

/// Who says that there is such a tenant.
enum class named_by : std::uint8_t {
  table,
  client,  ///< the table has a pattern for it, or takes whoever comes
};

class tenant_accounts {
 public:
  static constexpr std::size_t most_named_by_clients = 250'000;

  explicit tenant_accounts(std::size_t most_by_clients = most_named_by_clients) : most_by_clients_(most_by_clients) {}

  /// Opens one at a tenant's first session.
  std::shared_ptr<tenant_account> of(const std::string& tenant, named_by whom = named_by::table);
  /// Those with anything to tell, in no order. Since the start.
  [[nodiscard]] std::vector<std::pair<std::string, usage_counts>> counts() const;
  /// The same, but peaks are those since the last call: for the one that writes them down.
  std::vector<std::pair<std::string, usage_counts>> interval_counts();
  [[nodiscard]] std::size_t size() const;
  /// Null: it has had no session.
  [[nodiscard]] std::shared_ptr<tenant_account> find(const std::string& tenant) const;
  /// Adds to `known`, which is empty or comes from here, the accounts opened since; they keep their order. So whoever
  /// reads all of them again and again holds up those who open one for no longer than a slice takes.
  void append_new(std::vector<std::shared_ptr<tenant_account>>& known) const;

 private:
  [[nodiscard]] std::vector<std::shared_ptr<tenant_account>> all() const;
  std::shared_ptr<tenant_account> open(const std::string& tenant);
  std::shared_ptr<tenant_account> open_for_now(const std::string& tenant);

  const std::size_t most_by_clients_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<tenant_account>> by_tenant_;
  std::vector<std::shared_ptr<tenant_account>> in_order_;  ///< as they were opened; none is ever closed
  std::size_t by_clients_ = 0;                             ///< of them
  std::unordered_map<std::string, std::weak_ptr<tenant_account>> for_now_;
  std::size_t sweep_at_ = 1024;  ///< so many of those, and what is gone is swept out
};

}  // namespace proxy::desk
