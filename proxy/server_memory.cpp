#include "proxy/server_memory.hpp"

#include <algorithm>
#include <iterator>
#include <unordered_set>

namespace proxy {
namespace {

std::string key_of(const routing::host& host) { return host.address + ' ' + std::to_string(host.port); }

void note(server_memory::sight& seen, const std::string& why, clock::time_point now) {
  seen.asked = now;
  if (why.empty()) return;
  seen.trouble = why;
  seen.trouble_at = now;
}

}  // namespace

void server_memory::saw(const routing::host& host, host_role role, clock::time_point now, const std::string& why) {
  const std::scoped_lock lock(mutex_);
  known& of = hosts_[key_of(host)];
  note(of.seen, why, now);
  if (!of.seen.since || of.seen.role != role) of.seen.since = now;
  of.seen.role = role;
  if (role == host_role::primary) of.suspect_until = {};
  if (role == host_role::standby || role == host_role::down) of.suspect_until = now + suspicion;
}

void server_memory::saw_answer(const routing::host& host, clock::time_point now) {
  const std::scoped_lock lock(mutex_);
  sight& seen = hosts_[key_of(host)].seen;
  seen.asked = now;
  if (seen.role != host_role::down) return;
  seen.role = host_role::unknown;
  seen.since = now;
}

void server_memory::saw_trouble(const routing::host& host, const std::string& why, clock::time_point now) {
  const std::scoped_lock lock(mutex_);
  note(hosts_[key_of(host)].seen, why, now);
}

void server_memory::refused_login(const std::string& server) {
  const std::scoped_lock lock(mutex_);
  ++refused_logins_[server];
}

std::uint64_t server_memory::refused_logins(const std::string& server) const {
  const std::scoped_lock lock(mutex_);
  const auto found = refused_logins_.find(server);
  return found == refused_logins_.end() ? 0 : found->second;
}

void server_memory::keep_only(const routing::table_parts& table) {
  std::unordered_set<std::string> there;
  for (const auto& [name, server] : table.servers) {
    for (const routing::host& host : server->hosts) there.insert(key_of(host));
  }
  const std::scoped_lock lock(mutex_);
  std::erase_if(hosts_, [&](const auto& one) { return !there.contains(one.first); });
  std::erase_if(refused_logins_, [&](const auto& one) { return !table.servers.contains(one.first); });
}

server_memory::sight server_memory::last_sight(const routing::host& host) const {
  const std::scoped_lock lock(mutex_);
  const auto found = hosts_.find(key_of(host));
  return found == hosts_.end() ? sight() : found->second.seen;
}

std::vector<routing::host> server_memory::in_order(const std::vector<routing::host>& hosts,
                                                   clock::time_point now) const {
  if (hosts.size() == 1) return hosts;
  const std::scoped_lock lock(mutex_);
  const auto is_suspect = [&](const routing::host& host) {
    const auto found = hosts_.find(key_of(host));
    return found != hosts_.end() && found->second.suspect_until > now;
  };
  std::vector<routing::host> ordered;
  std::ranges::remove_copy_if(hosts, std::back_inserter(ordered), is_suspect);
  std::ranges::copy_if(hosts, std::back_inserter(ordered), is_suspect);
  return ordered;
}

}  // namespace proxy
