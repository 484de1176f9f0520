// Sessions that were told why not instead of being greeted, by SQLSTATE: most of them have no tenant's account to be
// counted in.
//
// A server's own words may have any SQLSTATE, and each would be a series of its own in Prometheus: so those that the
// lodge itself gives are named, and the others are "other" together. Safe from any thread.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "protocol/sqlstate.hpp"

namespace proxy::desk {

struct refusal_count {
  std::string_view sqlstate;
  std::uint64_t count = 0;
};

class refused_sessions {
 public:
  void add(std::string_view sqlstate) {
    const auto at = std::ranges::find(named, sqlstate) - named.begin();
    counts_[static_cast<std::size_t>(at)].fetch_add(1, std::memory_order_relaxed);
  }
  [[nodiscard]] std::vector<refusal_count> read() const {
    std::vector<refusal_count> all;
    all.reserve(counts_.size());
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      all.push_back({i < named.size() ? named[i] : "other", counts_[i].load(std::memory_order_relaxed)});
    }
    return all;
  }

 private:
  static constexpr std::array named{pgwire::sqlstate::connection_unestablished,
                                    pgwire::sqlstate::connection_failure,
                                    pgwire::sqlstate::protocol_violation,
                                    pgwire::sqlstate::feature_not_supported,
                                    pgwire::sqlstate::invalid_parameter_value,
                                    pgwire::sqlstate::invalid_authorization,
                                    pgwire::sqlstate::invalid_password,
                                    pgwire::sqlstate::invalid_catalog_name,
                                    pgwire::sqlstate::insufficient_privilege,
                                    pgwire::sqlstate::syntax_error,
                                    pgwire::sqlstate::out_of_memory,
                                    pgwire::sqlstate::too_many_connections,
                                    pgwire::sqlstate::limit_exceeded,
                                    pgwire::sqlstate::program_limit_exceeded,
                                    pgwire::sqlstate::query_canceled,
                                    pgwire::sqlstate::admin_shutdown,
                                    pgwire::sqlstate::cannot_connect_now,
                                    pgwire::sqlstate::internal_error};
  std::array<std::atomic<std::uint64_t>, named.size() + 1> counts_{};  ///< the last: of others
};

}  // namespace proxy::desk
