#include "proxy/auth/failure_delays.hpp"

#include <algorithm>

namespace proxy {

failure_delays::clock::duration delay_after(std::uint32_t failures) {
  if (failures <= failure_delays::free_failures) return {};
  constexpr std::uint32_t most_doublings = 16;  // long past most_delay, and far from an overflow
  const std::uint32_t doublings = std::min(failures - failure_delays::free_failures - 1, most_doublings);
  return std::min(failure_delays::first_delay * (1 << doublings), failure_delays::most_delay);
}

void failure_delays::failed(const conf::ip_address& neighbourhood, clock::time_point now) {
  std::uint32_t failures = 1;
  if (const auto known = by_address_.find(neighbourhood); known != by_address_.end()) {
    const auto old = known->second;
    if (!is_forgotten(*old, now)) failures = std::max(old->failures, old->failures + 1);  // stays at its maximum
    by_time_.erase(old);
    by_address_.erase(known);
  }
  while (!by_time_.empty() && (by_time_.size() >= most_neighbourhoods || is_forgotten(by_time_.front(), now))) {
    by_address_.erase(by_time_.front().who);
    by_time_.pop_front();
  }
  by_address_.emplace(neighbourhood, by_time_.insert(by_time_.end(), {neighbourhood, failures, now}));
}

std::optional<failure_delays::clock::time_point> failure_delays::closed_until(const conf::ip_address& neighbourhood,
                                                                              clock::time_point now) const {
  const auto known = by_address_.find(neighbourhood);
  if (known == by_address_.end()) return std::nullopt;
  const auto opens = known->second->last + delay_after(known->second->failures);
  if (opens <= now) return std::nullopt;
  return opens;
}

}  // namespace proxy
