// What the lodge remembers about PostgreSQL hosts between connections: which of them lately were
// no primary: they said so, or were down.
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
  /// How long a host is tried last.
  static constexpr std::chrono::seconds suspicion{10};

  void saw_no_primary(const routing::host& host, clock::time_point now);
  void saw_primary(const routing::host& host);

  /// The hosts in the order they should be tried: as configured, those that lately were no primary last.
  [[nodiscard]] std::vector<routing::host> in_order(const std::vector<routing::host>& hosts,
                                                    clock::time_point now) const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, clock::time_point> suspect_until_;
};

}  // namespace proxy
