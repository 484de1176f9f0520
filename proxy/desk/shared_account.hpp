// What the sessions of one role, or of one database, have used of the limits that they share, whatever worker they live
// on. Nothing is billed here: that is the tenants' (tenant_account).
//
// Only those that have limits in the table have an account, so their number is the table's.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "proxy/desk/account_visit.hpp"
#include "proxy/desk/rate_limit.hpp"
#include "routing/route_table.hpp"

namespace proxy::desk {

/// From any thread, without a lock.
class shared_account : public std::enable_shared_from_this<shared_account> {
 public:
  shared_account() = default;
  shared_account(const shared_account&) = delete;
  shared_account& operator=(const shared_account&) = delete;

  using visit = account_visit<shared_account>;
  /// Nothing: it has `most` sessions already.
  std::optional<visit> enter(std::optional<std::uint32_t> most);
  [[nodiscard]] std::uint32_t clients() const { return clients_.load(std::memory_order_relaxed); }

  rate_limit statements;
  rate_limit bytes;

 private:
  friend visit;
  void leave() { clients_.fetch_sub(1, std::memory_order_relaxed); }

  std::atomic<std::uint32_t> clients_{0};
};

/// From any thread.
class shared_accounts {
 public:
  /// Opens one at the first session.
  std::shared_ptr<shared_account> of(const routing::shared_limits& whose);
  /// Forgets those that have no limits by the table any more. Who is there stays counted there, and nowhere else.
  void keep_only(const routing::table_parts& table);
  [[nodiscard]] std::size_t size() const;

 private:
  using key = std::pair<routing::sharer, std::string>;
  mutable std::mutex mutex_;
  std::map<key, std::shared_ptr<shared_account>> open_;
};

}  // namespace proxy::desk
