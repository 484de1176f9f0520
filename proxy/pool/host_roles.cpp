#include "proxy/pool/host_roles.hpp"

#include <algorithm>
#include <utility>

namespace proxy {

std::string_view to_string(host_role role) {
  switch (role) {
    case host_role::primary: return "primary";
    case host_role::standby: return "standby";
    case host_role::unknown: return "unknown";
    case host_role::down: return "down";
  }
  std::unreachable();
}

host_roles::consequence host_roles::learn(const std::string& server, const routing::host& where, host_role role,
                                          const std::optional<endpoint>& at) {
  auto& hosts = servers_[server];
  host& mine = hosts[routing::to_string(where)];
  const bool changed = mine.role != role;
  mine.role = role;
  if (at) mine.at = at;
  consequence what;
  if (!changed) return what;
  if (role == host_role::primary) what.return_to = mine.at;
  const bool has_primary =
      std::ranges::any_of(hosts, [](const auto& one) { return one.second.role == host_role::primary; });
  for (const auto& [name, one] : hosts) {
    const bool useless = one.role == host_role::standby || (one.role == host_role::down && has_primary);
    if (useless && one.at && one.at != what.return_to) what.leave.push_back(*one.at);
  }
  return what;
}

void host_roles::forget_unless(const std::function<bool(const std::string&, const std::string&)>& is_kept) {
  for (auto& [server, hosts] : servers_) {
    std::erase_if(hosts, [&, &of = server](const auto& one) { return !is_kept(of, one.first); });
  }
  std::erase_if(servers_, [](const auto& one) { return one.second.empty(); });
}

}  // namespace proxy
