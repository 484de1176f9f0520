#include "proxy/desk/tenant_ranking.hpp"

#include <algorithm>

namespace proxy::desk {
namespace {

bool has_overtaken(const tenant_usage& one, const tenant_usage& other) {
  return one.counts.busy > other.counts.busy + other.counts.busy / 10;
}

}  // namespace

void tenant_ranking::enter(const std::vector<tenant_usage>& all, index who) {
  shown_.emplace(who, who < known_ ? all[who].counts : usage_counts());
}

void tenant_ranking::leave(const std::vector<tenant_usage>& all, index who) {
  const auto found = shown_.find(who);
  told_ += all[who].counts.since(found->second);
  shown_.erase(found);
}

// The least busy first.
std::vector<tenant_ranking::index> tenant_ranking::shown_by_use(const std::vector<tenant_usage>& all) const {
  std::vector<index> shown;
  shown.reserve(shown_.size());
  for (const auto& [who, before] : shown_) shown.push_back(who);
  std::ranges::sort(shown, {}, [&](index who) { return all[who].counts.busy; });
  return shown;
}

// The busiest of those who are not shown, that one first.
std::vector<tenant_ranking::index> tenant_ranking::candidates(const std::vector<tenant_usage>& all,
                                                              std::size_t most) const {
  std::vector<index> found;
  for (index who = 0; who < all.size(); ++who) {
    const std::string& tenant = all[who].tenant;
    if (!tenant.empty() && tenant != rest && !shown_.contains(who)) found.push_back(who);
  }
  const auto end = found.begin() + static_cast<std::ptrdiff_t>(std::min(most, found.size()));
  std::ranges::partial_sort(found, end, std::ranges::greater(), [&](index who) { return all[who].counts.busy; });
  found.erase(end, found.end());
  return found;
}

std::vector<tenant_usage> tenant_ranking::rank(const std::vector<tenant_usage>& all, std::size_t most) {
  auto shown = shown_by_use(all);
  const std::size_t too_many = shown.size() > most ? shown.size() - most : 0;
  for (index i = 0; i < too_many; ++i) leave(all, shown[i]);
  shown.erase(shown.begin(), shown.begin() + static_cast<std::ptrdiff_t>(too_many));

  std::size_t overtaken = 0;
  for (const index who : candidates(all, most)) {
    if (shown_.size() == most) {
      if (overtaken == shown.size() || !has_overtaken(all[who], all[shown[overtaken]])) break;
      leave(all, shown[overtaken++]);
    }
    enter(all, who);
  }
  known_ = all.size();

  std::vector<tenant_usage> told;
  usage_counts others, named = told_;
  std::uint32_t other_clients = 0;
  for (index who = 0; who < all.size(); ++who) {
    others += all[who].counts;
    const auto found = shown_.find(who);
    if (found == shown_.end()) {
      other_clients += all[who].clients;
      continue;
    }
    told.push_back({all[who].tenant, all[who].counts.since(found->second), all[who].clients});
    named += told.back().counts;
  }
  told.push_back({std::string(rest), others.since(named), other_clients});
  return told;
}

}  // namespace proxy::desk
