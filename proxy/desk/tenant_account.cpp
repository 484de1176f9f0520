#include "proxy/desk/tenant_account.hpp"

#include <algorithm>
#include <utility>

namespace proxy::desk {

std::optional<tenant_account::visit> tenant_account::enter(std::optional<std::uint32_t> most, clock::time_point now) {
  if (!come(most, now)) return std::nullopt;
  if (counted_at_) counted_at_->come(std::nullopt, now);
  return visit(shared_from_this());
}

bool tenant_account::come(std::optional<std::uint32_t> most, clock::time_point now) {
  const std::scoped_lock lock(mutex_);
  if (most && clients_ >= *most) return false;
  sum_up(now);
  ++clients_;
  peak_ = std::max(peak_, clients_);
  interval_peak_ = std::max(interval_peak_, clients_);
  return true;
}

void tenant_account::leave() {
  if (counted_at_) counted_at_->leave();
  const std::scoped_lock lock(mutex_);
  sum_up(clock::now());
  --clients_;
}

void tenant_account::sum_up(clock::time_point now) const {
  const auto until = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  const auto moment = std::max(static_cast<std::uint64_t>(until), summed_up_);
  connected_ += (moment - summed_up_) * clients_;
  summed_up_ = moment;
}

void tenant_account::add(const usage_counts& more) {
  for (std::size_t i = 0; i < all_usage_counts.size(); ++i) {
    const std::uint64_t amount = more.*all_usage_counts[i].value;
    if (amount != 0) sums_[i].fetch_add(amount, std::memory_order_relaxed);
  }
  if (counted_at_) counted_at_->add(more);
}

usage_counts tenant_account::counts(clock::time_point now) const {
  usage_counts told;
  for (std::size_t i = 0; i < all_usage_counts.size(); ++i) {
    told.*all_usage_counts[i].value = sums_[i].load(std::memory_order_relaxed);
  }
  const std::scoped_lock lock(mutex_);
  sum_up(now);
  told.connected = connected_;
  told.peak_clients = peak_;
  return told;
}

usage_counts tenant_account::interval_counts() {
  usage_counts now = counts();
  const std::scoped_lock lock(mutex_);
  now.peak_clients = std::exchange(interval_peak_, clients_);
  return now;
}

std::uint32_t tenant_account::clients() const {
  const std::scoped_lock lock(mutex_);
  return clients_;
}

std::shared_ptr<tenant_account> tenant_accounts::of(const std::string& tenant, named_by whom) {
  const std::scoped_lock lock(mutex_);
  if (const auto found = by_tenant_.find(tenant); found != by_tenant_.end()) return found->second;
  if (whom == named_by::table || tenant.empty()) return open(tenant);
  if (by_clients_ >= most_by_clients_) return open_for_now(tenant);
  ++by_clients_;
  return open(tenant);
}

std::shared_ptr<tenant_account> tenant_accounts::open(const std::string& tenant) {
  auto& account = by_tenant_[tenant];
  if (!account) {
    account = std::make_shared<tenant_account>(tenant);
    in_order_.push_back(account);
  }
  return account;
}

std::shared_ptr<tenant_account> tenant_accounts::open_for_now(const std::string& tenant) {
  auto& kept = for_now_[tenant];
  if (auto there = kept.lock()) return there;
  auto made = std::make_shared<tenant_account>(tenant, open({}));
  kept = made;
  if (for_now_.size() >= sweep_at_) {
    std::erase_if(for_now_, [](const auto& each) { return each.second.expired(); });
    sweep_at_ = std::max(sweep_at_, for_now_.size() * 2);
  }
  return made;
}

std::vector<std::shared_ptr<tenant_account>> tenant_accounts::all() const {
  std::vector<std::shared_ptr<tenant_account>> known;
  append_new(known);
  return known;
}

std::vector<std::pair<std::string, usage_counts>> tenant_accounts::counts() const {
  std::vector<std::pair<std::string, usage_counts>> told;
  for (const auto& account : all()) told.emplace_back(account->tenant(), account->counts());
  return told;
}

std::vector<std::pair<std::string, usage_counts>> tenant_accounts::interval_counts() {
  std::vector<std::pair<std::string, usage_counts>> told;
  for (const auto& account : all()) told.emplace_back(account->tenant(), account->interval_counts());
  return told;
}

std::shared_ptr<tenant_account> tenant_accounts::find(const std::string& tenant) const {
  const std::scoped_lock lock(mutex_);
  const auto found = by_tenant_.find(tenant);
  return found == by_tenant_.end() ? nullptr : found->second;
}

void tenant_accounts::append_new(std::vector<std::shared_ptr<tenant_account>>& known) const {
  constexpr std::size_t slice = 1024;
  for (bool more = true; more;) {
    const std::scoped_lock lock(mutex_);
    const auto end = std::min(in_order_.size(), known.size() + slice);
    for (std::size_t i = known.size(); i < end; ++i) known.push_back(in_order_[i]);
    more = end < in_order_.size();
  }
}

std::size_t tenant_accounts::size() const {
  const std::scoped_lock lock(mutex_);
  return by_tenant_.size();
}

}  // namespace proxy::desk
