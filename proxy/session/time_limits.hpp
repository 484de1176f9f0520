// Limits in time: how long a statement may run, a transaction last, and one be idle, by the limits of its tenant, role
// and database; and how long any session may.
//
// Looked at a few times a second, so that traffic costs no clock: what stays the same from one look to the next has
// lasted since the first of them. A limit is thus kept to within the time between two looks.
#pragma once

#include <cstdint>
#include <optional>

#include "protocol/error_response.hpp"
#include "proxy/io.hpp"
#include "proxy/moment.hpp"
#include "routing/route.hpp"

namespace proxy {

/// Where a session is, as its traffic core sees it.
struct traffic_moment {
  bool running = false;            ///< the server has something to do for the client
  bool in_transaction = false;     ///< one is open; an implicit one, too, for which no Sync has come yet
  bool waits = false;              ///< for the lodge, or for the rest of a message: neither running nor idle
  std::uint32_t transactions = 0;  ///< ended so far
  std::uint32_t steps = 0;         ///< statements begun or ended so far
};

class time_limits {
 public:
  enum class exceeded : std::uint8_t {
    none,
    query_time,  ///< the statement is to be cancelled
    unheeded,    ///< it was, to no effect: the server waits for the client, perhaps
    transaction_time,
    idle_in_transaction,
    idle
  };

  /// Those in force: the shortest of each kind, whoever has it, and `timeouts.idle`; 0 is none.
  struct terms {
    routing::limits_in_force limits;
    std::chrono::milliseconds idle;
  };
  /// The limit that is exceeded. That of a statement's time is told once, once more five seconds later, since a cancel
  /// request may be lost, and another five seconds later as unheeded; others again as long as nothing moves.
  exceeded look(const traffic_moment& now_at, const terms& by, clock::time_point now);

  /// Since when it is idle, as of the latest look.
  [[nodiscard]] std::optional<clock::time_point> idle_since() const { return idle_.get(); }

  /// What the client is told: of a statement that was cancelled (ERROR), or of the session's end (FATAL).
  [[nodiscard]] static pgwire::error_report report(exceeded what, const terms& by);

 private:
  static void keep(moment& since, bool is_so, clock::time_point now);

  traffic_moment at_;
  moment running_, idle_, transaction_;  ///< since when it has been so; nothing: it is not
  moment told_;                          ///< that the statement runs for too long
  bool told_again_ = false;
};

}  // namespace proxy
