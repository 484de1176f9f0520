// What the console asks of the daemon around it. One object, alive as long as the workers; every function may be called
// from any thread, and does its work where that belongs: on the main thread, or on each worker in turn.
//
// Replies come once, on any thread; none comes from a lodge that is closing.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/error_response.hpp"
#include "proxy/desk/stats_period.hpp"
#include "proxy/desk/usage_counts.hpp"
#include "proxy/io.hpp"
#include "proxy/pool/wish.hpp"
#include "proxy/snapshot.hpp"

namespace proxy::console {

template <class T>
using reply = std::function<void(T)>;

/// A server connection as whoever has it knows it.
struct connection_facts {
  connection_id id = 0;  ///< in its server's pool
  bool own = false;      ///< it ends with the session
  endpoint address;
  std::int32_t process_id = 0;
};

/// A client's session, as its worker saw it.
struct client_facts {
  std::uint64_t id = 0;
  unsigned worker = 0;
  std::string user, database;  ///< as the client gave them, without what named the tenant
  std::string tenant, place;   ///< empty: none yet
  std::string state;           ///< login, idle, active, waiting, closing, cancel; console: active
  std::string replication;     ///< none, logical, physical
  std::string application_name, tls;
  endpoint peer, local;
  clock::time_point since;
  std::optional<clock::time_point> waiting_since;
  std::string pins;
  std::string server;                    ///< the table's name of the one its place is on; empty: none yet
  pool_key pool;                         ///< likewise: by which it asks for connections
  std::optional<connection_facts> link;  ///< what it has now
  bool is_console = false;

  /// For a connection, its rates, or to be released.
  [[nodiscard]] bool waits() const { return state == "waiting"; }
};

/// What the main thread knows.
struct status_facts {
  std::chrono::system_clock::time_point started;
  std::string version, doors;
  unsigned workers = 0;
  bool leaving = false;
  std::string log_level;  ///< laid over the configuration's; empty: none
  std::chrono::system_clock::time_point read_at;
  std::vector<std::string> reload_errors;  ///< of the latest attempt; empty: it went well
};

/// Something that happened, for SHOW EVENTS.
struct event {
  std::chrono::system_clock::time_point when;
  std::string kind, subject, what, by;
};

/// What a reload came to.
struct reload_outcome {
  std::vector<std::string> errors, changes;
  std::uint64_t version = 0;
};

/// Whose sessions are to end. The console's own are spared unless one is named by its number.
struct kill_target {
  std::optional<std::uint64_t> id;
  std::optional<std::string> tenant, place;  ///< neither, and no id: all
};

class house {
 public:
  virtual void clients(reply<std::vector<client_facts>> to) = 0;
  virtual void status(reply<status_facts> to) = 0;
  virtual void events(reply<std::vector<event>> to) = 0;
  /// What has been counted for each tenant since the lodge started. O(tenants): not for an event loop.
  virtual std::vector<std::pair<std::string, desk::usage_counts>> usage() = 0;

  /// What all but one in a hundred of a tenant's statements stayed under in the last seconds; nothing: none was run.
  /// Quick, and from any thread.
  virtual std::optional<std::chrono::microseconds> recent_p99(const std::string& tenant) = 0;
  /// What usage() says for the last period that is over. Quick.
  virtual std::shared_ptr<const desk::stats_period::reading> last_period() = 0;

  // `by` is who wants it, for the log and the events.

  virtual void reload(const std::string& by, reply<reload_outcome> to) = 0;
  /// As SIGTERM (`drain`) or SIGINT.
  virtual void shut_down(const std::string& by, bool drain) = 0;
  /// Changes a copy of the overrides, and puts it in force; `change` runs on the main thread with the table in force,
  /// and may refuse. `subject` and `what` are for the log.
  using override_change =
      std::function<std::optional<pgwire::error_report>(const routing::route_table&, routing::overrides&)>;
  virtual void lay_over(const std::string& by, const std::string& what, const std::string& subject,
                        override_change change, reply<std::optional<pgwire::error_report>> to) = 0;
  /// Gives how many sessions were told to end.
  virtual void kill(const std::string& by, const kill_target& whom, reply<std::size_t> to) = 0;
  /// Empty: what the configuration says.
  virtual void set_log_level(const std::string& by, const std::string& level) = 0;
  /// For what the console does without the house.
  virtual void note(const std::string& by, const std::string& kind, const std::string& subject,
                    const std::string& what) = 0;

 protected:
  ~house() = default;
};

}  // namespace proxy::console
