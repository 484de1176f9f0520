// What the ledger tells of itself.
#include "proxy/pool/ledger.hpp"

namespace proxy {

ledger::totals ledger::count(const std::string& name) const {
  const auto* const found = tenants_.find(name);
  if (found == nullptr) return {};
  return {.lent = found->lent, .opening = found->opening, .idle = 0, .waiting = found->waiting};
}

// The narrowest that holds: to raise a wider one would not help.
bound ledger::bound_of(const std::string& name, const std::string& wanted) const {
  const auto* const of = tenants_.find(name);
  if (of != nullptr && of->most && of->lent >= *of->most) return bound::tenant;
  const auto* const in = places_.find(wanted);
  if (in != nullptr && in->size && in->lent >= *in->size) return bound::place;
  if (is_full()) return bound::server;
  const bool guaranteed = of != nullptr && of->lacks() > 0;
  return guaranteed || has_more_than_reserved() ? bound::none : bound::minimum;
}

bool ledger::has_idle(const pool_key& key) const {
  const auto* const found = pools_.find(key);
  return found != nullptr && found->idle_count > 0;
}

bool ledger::has_idle(const pool_key& key, std::uint64_t state) const {
  const auto* const found = pools_.find(key);
  if (found == nullptr) return false;
  const pooled* const best = idle_.choose({.pool = found, .state = state});
  return best != nullptr && best->state == state;
}

std::vector<ledger::pool_totals> ledger::pools() const {
  std::vector<pool_totals> all;
  for (const auto& [key, one] : pools_) {
    if (one.total == 0 && one.waiting == 0) continue;
    pool_totals& row = all.emplace_back();
    row.key = key;
    row.lent = one.total - one.idle_count;
    row.opening = one.opening;
    row.idle = one.idle_count;
    row.waiting = one.waiting;
    if (const waiter* first = one.waiters.front()) row.waiting_since = first->wish_.since;
  }
  return all;
}

std::vector<ledger::connection_report> ledger::connections() const {
  std::vector<connection_report> all;
  all.reserve(connections_.size());
  for (const auto& [id, one] : connections_) {
    const bool own = one.own || !one.from->name().start.empty();
    all.push_back({id, one.is, one.from->name(), one.in->name(), one.of->name(), one.opened, own});
  }
  return all;
}

}  // namespace proxy
