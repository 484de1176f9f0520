// What the hosts of the servers are, as `host_watch` finds them, and what follows for the connections to them.
//
//   - to a standby nothing is lent any more;
//   - to a host that is down nothing is, either, once another host of its server is the primary: its connections may be
//     those of a machine that is gone, which nobody will ever answer on. While there is no other, what is there is
//     kept: a server that is merely slow to answer is not helped by new connections.
//   - whoever is the primary again is returned to.
//
// Sans I/O.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/io.hpp"
#include "routing/route.hpp"

namespace proxy {

enum class host_role : std::uint8_t {
  primary,
  standby,
  unknown,  ///< it answers, but lets nobody find out
  down,
};
std::string_view to_string(host_role role);

class host_roles {
 public:
  struct consequence {
    std::vector<endpoint> leave;
    std::optional<endpoint> return_to;
  };
  /// `at`: the address that answered, of a primary or standby.
  consequence learn(const std::string& server, const routing::host& where, host_role role,
                    const std::optional<endpoint>& at);
  /// What is known of other hosts, by their names in text, matters no more.
  void forget_unless(const std::function<bool(const std::string& server, const std::string& host)>& is_kept);

 private:
  struct host {
    host_role role = host_role::unknown;
    std::optional<endpoint> at;  ///< that answered last
  };
  std::map<std::string, std::map<std::string, host>> servers_;
};

}  // namespace proxy
