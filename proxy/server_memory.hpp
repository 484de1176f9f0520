// What the lodge remembers about PostgreSQL hosts between connections: which of them lately said it is a standby.
//
// With `passthrough` the client's own secret logs in, so a host that turns out to be a standby after the login
// cannot be exchanged for another within that session; what was learnt then lets the next session start with a
// primary. A memory is a hint about order, never a verdict: it fades, and a remembered host is still tried last.
#pragma once

#include <chrono>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/io.hpp"
#include "routing/route.hpp"

namespace proxy {

class server_memory {
 public:
  /// How long a host counts as a standby after it said so.
  static constexpr std::chrono::seconds standby_memory{10};

  void saw_standby(const routing::host& host, clock::time_point now);
  void saw_primary(const routing::host& host);

  /// The hosts in the order they should be tried: as configured, those lately seen as standby last.
  [[nodiscard]] std::vector<routing::host> in_order(const std::vector<routing::host>& hosts,
                                                    clock::time_point now) const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, clock::time_point> standby_until_;
};

}  // namespace proxy
