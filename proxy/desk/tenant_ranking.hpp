// Which tenants are told by name, and what the rest comes to: Prometheus keeps a series for every name it has ever
// heard, so the names must be few, and they must not come and go.
//
// Ranked is by the time that a tenant kept server connections busy since the start. Who is not shown takes the place of
// one who is only when it has been busier by a tenth, so two that are about equal do not change places for ever.
//
// No series ever goes down, and the sum of all grows by what was counted, whoever enters or leaves:
//   - a tenant that enters later starts at nothing. What it had used stays with the rest, where it was told already;
//     a tenant that has a place from its first session on is told from its first session on;
//   - what was told by the name of a tenant that has left is told no more, by nobody. If it comes back, it starts anew,
//     which Prometheus takes for a restart.
//
// A tenant that is called as the rest is, and the sessions without a tenant, are always among the rest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/desk/usage_counts.hpp"

namespace proxy::desk {

/// One tenant, or the rest. Of `counts` the peak means nothing.
struct tenant_usage {
  std::string tenant;
  usage_counts counts;
  std::uint32_t clients = 0;  ///< now
};

class tenant_ranking {
 public:
  static constexpr std::string_view rest = "other";

  /// `all`: every tenant, since the start; between calls it only grows, at the end, and so do the counts. Gives at most
  /// `most` tenants, and last the rest. O(all).
  std::vector<tenant_usage> rank(const std::vector<tenant_usage>& all, std::size_t most);

 private:
  using index = std::size_t;  // in `all`

  void enter(const std::vector<tenant_usage>& all, index who);
  void leave(const std::vector<tenant_usage>& all, index who);
  [[nodiscard]] std::vector<index> shown_by_use(const std::vector<tenant_usage>& all) const;
  [[nodiscard]] std::vector<index> candidates(const std::vector<tenant_usage>& all, std::size_t most) const;

  std::unordered_map<index, usage_counts> shown_;  ///< what each had used when it entered
  usage_counts told_;                              ///< by name, of those who have left
  std::size_t known_ = 0;                          ///< of `all`, at the last call
};

}  // namespace proxy::desk
