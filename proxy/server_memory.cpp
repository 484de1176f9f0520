#include "proxy/server_memory.hpp"

#include <algorithm>
#include <iterator>

namespace proxy {
namespace {

std::string key_of(const routing::host& host) { return host.address + ' ' + std::to_string(host.port); }

}  // namespace

void server_memory::saw_no_primary(const routing::host& host, clock::time_point now) {
  const std::scoped_lock lock(mutex_);
  suspect_until_[key_of(host)] = now + suspicion;
}

void server_memory::saw_primary(const routing::host& host) {
  const std::scoped_lock lock(mutex_);
  suspect_until_.erase(key_of(host));
}

std::vector<routing::host> server_memory::in_order(const std::vector<routing::host>& hosts,
                                                   clock::time_point now) const {
  const std::scoped_lock lock(mutex_);
  if (suspect_until_.empty()) return hosts;
  const auto is_suspect = [&](const routing::host& host) {
    const auto known = suspect_until_.find(key_of(host));
    return known != suspect_until_.end() && known->second > now;
  };
  std::vector<routing::host> ordered;
  std::ranges::remove_copy_if(hosts, std::back_inserter(ordered), is_suspect);
  std::ranges::copy_if(hosts, std::back_inserter(ordered), is_suspect);
  return ordered;
}

}  // namespace proxy
