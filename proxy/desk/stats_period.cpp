#include "proxy/desk/stats_period.hpp"

namespace proxy::desk {

void stats_period::end(const tenant_accounts& accounts, clock::time_point now) {
  const std::scoped_lock lock(mutex_);
  auto made = std::make_shared<reading>();
  made->length = std::chrono::duration_cast<std::chrono::microseconds>(now - std::exchange(began_, now));
  accounts.append_new(accounts_);
  before_.resize(accounts_.size());
  for (std::size_t i = 0; i < accounts_.size(); ++i) {
    const usage_counts counts = accounts_[i]->counts(now);
    usage_counts used = counts.since(std::exchange(before_[i], counts));
    used.peak_clients = 0;
    if (!used.is_zero()) made->tenants.emplace_back(accounts_[i]->tenant(), used);
  }
  last_ = std::move(made);
}

std::shared_ptr<const stats_period::reading> stats_period::last() const {
  const std::scoped_lock lock(mutex_);
  return last_;
}

}  // namespace proxy::desk
