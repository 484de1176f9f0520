#include "proxy/auth/secret_cache.hpp"

#include <utility>

namespace proxy {

void secret_cache::put(const std::string& role, stored_secret_ptr secret, clock::time_point now) {
  if (const auto known = by_role_.find(role); known != by_role_.end()) {
    const auto old = known->second;
    by_role_.erase(known);
    by_age_.erase(old);
  }
  while (!by_age_.empty() && (by_age_.size() >= most_ || is_stale(by_age_.front(), now))) {
    by_role_.erase(by_age_.front().role);
    by_age_.pop_front();
  }
  const auto made = by_age_.insert(by_age_.end(), {role, std::move(secret), now});
  by_role_.emplace(made->role, made);
}

void secret_cache::doubt(std::string_view role, clock::duration least_age, clock::time_point now) {
  const auto found = by_role_.find(role);
  if (found == by_role_.end() || now - found->second->born < least_age) return;
  const auto old = found->second;
  by_role_.erase(found);
  by_age_.erase(old);
}

stored_secret_ptr secret_cache::find(std::string_view role, clock::time_point now) const {
  const auto found = by_role_.find(role);
  if (found == by_role_.end() || is_stale(*found->second, now)) return nullptr;
  return found->second->secret;
}

}  // namespace proxy
