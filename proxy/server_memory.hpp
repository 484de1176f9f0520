// What the lodge remembers about PostgreSQL hosts: what each was when it was last seen, by whoever saw it: a session
// that logged in there, or the watch of hosts. It is shown to operators; and which of them lately were no primary,
// since they said so or were down, matters to who looks for one.
//
// With `passthrough` the client's own secret logs in, so a host that turns out to be a standby after the login
// cannot be exchanged for another within that session; what was learnt then lets the next session start with a
// primary. A memory is a hint about order, never a verdict: it fades, and a remembered host is still tried last.
//
// Safe from any thread. It has the hosts of the table in force, and perhaps some of the one before.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/io.hpp"
#include "proxy/pool/host_roles.hpp"
#include "routing/route.hpp"
#include "routing/route_table.hpp"

namespace proxy {

class server_memory {
 public:
  /// How long a host is tried last.
  static constexpr std::chrono::seconds suspicion{10};

  /// What was seen of a host.
  struct sight {
    host_role role = host_role::unknown;
    std::optional<clock::time_point> since;  ///< it is that; nothing: it has never been seen
    std::optional<clock::time_point> asked;  ///< for the last time
    std::string trouble;                     ///< the last there was, for people, be it over or not
    std::optional<clock::time_point> trouble_at;
  };

  /// It is that. `why`: of unknown, standby and down, if there is anything to say.
  void saw(const routing::host& host, host_role role, clock::time_point now, const std::string& why = {});
  /// Somebody answered there, and let nobody in: whatever it is, it is not down.
  void saw_answer(const routing::host& host, clock::time_point now);
  /// It could not be used, which tells nothing of what it is.
  void saw_trouble(const routing::host& host, const std::string& why, clock::time_point now);
  /// A server does not let the lodge's own role in: whoever comes, nobody is served.
  void refused_login(const std::string& server);
  /// How often, since it is in the table.
  [[nodiscard]] std::uint64_t refused_logins(const std::string& server) const;
  /// Forgets those that the table has not.
  void keep_only(const routing::table_parts& table);

  [[nodiscard]] sight last_sight(const routing::host& host) const;
  /// The hosts in the order they should be tried: as configured, those that lately were no primary last.
  [[nodiscard]] std::vector<routing::host> in_order(const std::vector<routing::host>& hosts,
                                                    clock::time_point now) const;

 private:
  struct known {
    sight seen;
    clock::time_point suspect_until{};
  };
  mutable std::mutex mutex_;
  std::unordered_map<std::string, known> hosts_;
  std::unordered_map<std::string, std::uint64_t> refused_logins_;  ///< by server
};

}  // namespace proxy
