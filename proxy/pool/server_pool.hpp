// The connections to one server, for all workers: the ledger under its mutex, and the hands that carry out what it
// decides.
//
// Who asks and can be served is served at once, without a suspension. Who cannot waits at a wait point of its own; the
// grant is laid down for it under the mutex and it is woken on its own worker. So a waiter that gives up while a grant
// is on its way finds the grant and hands it back: none is lost.
//
// Nothing here does I/O but the moving of an idle connection between workers.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <variant>
#include <vector>

#include "proxy/auth/wait_point.hpp"
#include "proxy/pool/ledger.hpp"
#include "proxy/pool/server_connection.hpp"
#include "routing/route.hpp"

namespace proxy {

class worker;

class server_pool : public std::enable_shared_from_this<server_pool> {
 public:
  explicit server_pool(std::shared_ptr<const routing::server> server);

  [[nodiscard]] const std::shared_ptr<const routing::server>& server() const { return server_; }

  /// What an asker got: a connection, or the leave to open one under this id, which must be followed by `opened` or
  /// `closed`.
  struct permission {
    connection_id id = 0;
    connection_ptr connection;  ///< null: to be opened
  };

  using wake_up = delivery<std::monostate>;

  // --- from the asker's worker ---

  /// Nothing: `bell` rings when there is something to `collect` for this waiter.
  std::optional<permission> ask(const connection_wish& wish, const std::shared_ptr<wake_up>& bell);
  /// What was granted meanwhile to one who waits.
  std::optional<permission> collect(waiter_id who);
  /// What was granted is not used.
  void hand_back(permission unused);
  /// The waiter gives up; what it was granted goes on to others.
  void give_up(waiter_id who);

  /// Brings an idle connection that was lent to this worker, if it lives elsewhere. False: it is lost, and its place is
  /// free again: ask anew.
  task<bool> bring_home(worker& here, connection_ptr connection);

  void opened(connection_id which);
  /// The lease is over and the session clean as far as `session.worn` says.
  void give_back(const connection_ptr& connection);
  /// From any thread: it is gone, or did not come to be.
  void closed(connection_id which);

  // --- from any thread ---

  /// Closes what has been idle or open for too long.
  void retire(clock::time_point idle_before, clock::time_point opened_before);
  /// Closes every idle connection.
  void close_idle();
  /// Closes those of a place.
  void close_idle_of(const std::string& place);
  /// Every connection that is there now is closed as soon as it is idle.
  void reconnect();

  struct connection_report : ledger::connection_report {
    bool close_needed = false;                ///< as `reconnect` demands
    std::shared_ptr<const cancel_target> at;  ///< of an idle one: where it leads
  };
  [[nodiscard]] std::vector<connection_report> connections() const;
  [[nodiscard]] std::vector<ledger::pool_totals> totals() const;
  [[nodiscard]] ledger::totals count(const std::string& tenant) const;

  /// When the workers' threads have ended: lets go of everything, and of all that comes later.
  void close();
  [[nodiscard]] ledger::totals count() const;

  /// What a server of this key reports to a session that starts in this state, once it is known; a client is told so
  /// without a connection.
  [[nodiscard]] parameters_ptr greeting(const pool_key& key, const routing::session_state& start) const;
  void remember_greeting(const pool_key& key, const routing::session_state& start, parameters_ptr reported);

 private:
  void carry_out(const ledger::grants& granted);
  permission hand_over(const grant& what);
  void close_idle_now(connection_id which);

  const std::shared_ptr<const routing::server> server_;

  mutable std::mutex mutex_;
  bool closed_ = false;
  clock::time_point opened_before_{};  ///< by the lifetime
  clock::time_point reconnect_before_{};
  ledger ledger_;
  std::unordered_map<connection_id, connection_ptr> idle_;
  std::unordered_map<waiter_id, std::weak_ptr<wake_up>> waiting_;
  std::unordered_map<waiter_id, permission> granted_;

  struct greeting_key {
    pool_key key;
    std::uint64_t state = 0;
    friend bool operator==(const greeting_key&, const greeting_key&) = default;
  };
  struct greeting_hash {
    std::size_t operator()(const greeting_key& of) const {
      return std::hash<std::string>{}(of.key.dbname) ^ (std::hash<std::string>{}(of.key.user) << 1) ^ of.state;
    }
  };
  std::unordered_map<greeting_key, parameters_ptr, greeting_hash> greetings_;
};

/// The pools of all servers. From any thread.
class server_pools {
 public:
  /// The pool of exactly this server; one of the same name that is configured differently is emptied as it comes back.
  std::shared_ptr<server_pool> of(const std::shared_ptr<const routing::server>& server);
  void retire(clock::time_point idle_before, clock::time_point opened_before);
  void close();
  /// Those that were replaced, too, as long as anybody uses a connection of theirs.
  [[nodiscard]] std::vector<std::shared_ptr<server_pool>> all() const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<server_pool>> by_name_;
  std::vector<std::weak_ptr<server_pool>> replaced_;
};

}  // namespace proxy
