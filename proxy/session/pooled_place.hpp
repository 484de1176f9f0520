// Where a pooled session lives, and as whom: a value, and what follows from it. An application opens its connections
// all by the same words, and to one place; so sessions of a worker that agree in all of it share one of these.
//
// What it must keep: it never changes, but for the wish's few members that are the asker's own. A session whose place
// or tenant changes takes another.
#pragma once

#include <cstddef>
#include <memory>
#include <unordered_map>

#include "proxy/pool/wish.hpp"
#include "proxy/session/placement.hpp"
#include "proxy/session/session_changes.hpp"
#include "routing/route.hpp"
#include "routing/tenant_hint.hpp"

namespace proxy {

/// Who a session is, what its client began with, and where that leads by a table.
struct pooled_standing {
  routing::identity who;
  session_request startup;
  routing::route where;
  friend bool operator==(const pooled_standing&, const pooled_standing&) = default;
};

struct pooled_place : pooled_standing {
  pooled_place(pooled_standing given, unsigned worker);

  session_terms_ptr terms;
  /// Whoever asks by it says first for which state, the pool for whom; see pooled_session::wish. A copy would cost
  /// each transaction several strings.
  mutable connection_wish wish;
};
using pooled_place_ptr = std::shared_ptr<const pooled_place>;

/// Those of one worker's sessions.
class pooled_places {
 public:
  explicit pooled_places(unsigned worker) : worker_(worker) {}

  pooled_place_ptr of(pooled_standing standing);
  /// The same with the limits that `now` has.
  pooled_place_ptr with_limits_of(const routing::route& now, const pooled_place& place);
  /// Those in use and those not yet forgotten, for tests.
  [[nodiscard]] std::size_t size() const { return known_.size(); }

 private:
  static constexpr std::size_t least_to_sweep = 64;

  const unsigned worker_;
  std::unordered_multimap<std::size_t, std::weak_ptr<const pooled_place>> known_;  ///< by hash
  std::size_t sweep_at_ = least_to_sweep;
};

}  // namespace proxy
