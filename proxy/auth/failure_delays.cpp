#include "proxy/auth/failure_delays.hpp"

#include <algorithm>
#include <functional>

#include "proxy/auth/peer_address.hpp"

namespace proxy {

std::optional<auth_applicant> applicant_of(const std::optional<conf::ip_address>& peer, std::string_view role) {
  if (!peer) return std::nullopt;
  return auth_applicant{neighbourhood(*peer), std::hash<std::string_view>{}(role)};
}

failure_delays::clock::duration delay_after(std::uint32_t failures, std::uint32_t are_free) {
  if (failures <= are_free) return {};
  constexpr std::uint32_t most_doublings = 16;  // long past most_delay, and far from an overflow
  const std::uint32_t doublings = std::min(failures - are_free - 1, most_doublings);
  return std::min(failure_delays::first_delay * (1 << doublings), failure_delays::most_delay);
}

void failure_delays::failed(const auth_applicant& who, clock::time_point now) {
  const std::uint32_t of_role = by_role_.add(who, now);
  if (of_role <= free_of_role + 1) by_neighbourhood_.add(who.neighbourhood, now);
}

std::optional<failure_delays::clock::time_point> failure_delays::closed_until(const auth_applicant& who,
                                                                              clock::time_point now) const {
  const auto of_role = by_role_.find(who);
  const auto of_all = by_neighbourhood_.find(who.neighbourhood);
  const auto opens = std::max(of_role.last + delay_after(of_role.failures, free_of_role),
                              of_all.last + delay_after(of_all.failures, free_of_neighbourhood));
  if (opens <= now) return std::nullopt;
  return opens;
}

}  // namespace proxy
