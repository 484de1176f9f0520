// What each tenant used in the last period that is over: what the console's averages are averages over. As PgBouncer's
// stats_period has it: a moment ago would tell of chance, and since the start of nothing at all.
//
// From any thread.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "proxy/desk/tenant_account.hpp"
#include "proxy/desk/usage_counts.hpp"

namespace proxy::desk {

class stats_period {
 public:
  using clock = tenant_account::clock;

  /// The first begins now; until it has ended there is nothing to tell.
  explicit stats_period(clock::time_point now = clock::now()) : began_(now) {}

  struct reading {
    std::chrono::microseconds length{};                         ///< 0: none is over yet
    std::vector<std::pair<std::string, usage_counts>> tenants;  ///< those who used anything
  };
  /// Ends the running period. O(tenants): not for an event loop.
  void end(const tenant_accounts& accounts, clock::time_point now);
  [[nodiscard]] std::shared_ptr<const reading> last() const;

 private:
  mutable std::mutex mutex_;
  clock::time_point began_;
  std::vector<std::shared_ptr<tenant_account>> accounts_;  ///< as they were opened
  std::vector<usage_counts> before_;                       ///< of each, when the running period began
  std::shared_ptr<const reading> last_ = std::make_shared<const reading>();
};

}  // namespace proxy::desk
