// The connections to one server, for all workers: the ledger under its mutex, and the hands that carry out what it
// decides.
//
// Who asks and can be served is served at once, without a suspension. Who cannot takes a seat; the grant is laid down
// there under the mutex and the waiter is called on its own worker. So one that gives up while a grant is on its way
// finds the grant and hands it back: none is lost.
//
// The leave to open a connection is given when `connect_gate` allows an attempt. Until then whoever was granted one is
// put off: it holds its place in the ledger, where it counts as one that waits, and keeps its turn when its own attempt
// failed and it tries again. An idle connection of its key ends the waiting, too.
//
// Nothing here does I/O but the moving of an idle connection between workers.
#pragma once

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/counted.hpp"
#include "proxy/pool/connect_gate.hpp"
#include "proxy/pool/ledger.hpp"
#include "proxy/pool/pool_seat.hpp"
#include "proxy/pool/refused_states.hpp"
#include "proxy/pool/ring.hpp"
#include "proxy/pool/server_connection.hpp"
#include "routing/route.hpp"

namespace proxy {

class worker;

class server_pool : public std::enable_shared_from_this<server_pool> {
 public:
  explicit server_pool(std::shared_ptr<const routing::server> server);

  [[nodiscard]] const std::shared_ptr<const routing::server>& server() const { return server_; }

  using permission = pool_seat::permission;
  using seat_ptr = std::shared_ptr<pool_seat>;

  // --- from the asker's worker ---

  /// Nothing: it waits, and is called when there is something to `collect`. The wish learns who asks.
  std::optional<permission> ask(connection_wish& wish, const seat_ptr& seat);
  /// What was granted meanwhile to one who waits.
  std::optional<permission> collect(pool_seat& seat);
  /// What was granted is not used.
  void hand_back(permission unused);
  /// The waiter gives up; what it was granted goes on to others.
  void give_up(pool_seat& seat);

  /// Brings an idle connection that was lent to this worker, if it lives elsewhere. False: it is lost, and its place is
  /// free again: ask anew.
  task<bool> bring_home(worker& here, connection_ptr connection);

  // What became of the leave to open one: each may be followed by `closed`, and `failed` by `try_later`.

  /// The connection is there.
  void opened(connection_id which);
  /// There is none as yet, or none will come of it; but the server is there, and has answered.
  void answered(connection_id which);
  /// No server answered who serves; `why` is for people.
  void failed(connection_id which, std::string why);
  /// Who was granted it waits for another attempt, before those who came later. Wish and seat as for `ask`.
  void try_later(connection_id which, connection_wish& wish, const seat_ptr& seat);
  /// For who waits because the server lets nobody else in, though the budget would: it counts as waiting as long as it
  /// holds this, which must not outlive the pool.
  counted crowded_out() { return crowded_out_.add(); }
  /// Why the server is thought to be out of reach; nothing: it is not.
  [[nodiscard]] std::optional<std::string> out_of_reach() const;

  // While nobody comes who would find out, the lodge itself asks a server that was out of reach.

  /// Whether to ask now: nobody has for the server's `health_check`, and nobody waits who would. It is an attempt,
  /// which ends by `found`.
  bool begin_look(clock::time_point now);
  enum class look : std::uint8_t { answered, out_of_reach, showed_nothing };
  void found(look how, std::string why = {});

  /// The lease is over and the session clean as far as `session.worn` says.
  void give_back(const connection_ptr& connection, clock::time_point now);
  /// From any thread: it is gone, or did not come to be.
  void closed(connection_id which);

  // --- from any thread ---

  /// Time has passed: who was put off may have its turn.
  void on_tick();
  /// Closes what has been idle or open for too long.
  void retire(clock::time_point idle_before, clock::time_point opened_before);
  /// Closes every idle connection.
  void close_idle();
  /// Closes those of a place.
  void close_idle_of(const std::string& place);
  /// At this address is a standby now: connections to it are closed as soon as they are idle, until `return_to`.
  void leave(const endpoint& where);
  void return_to(const endpoint& where);
  /// Every connection that is there now is closed as soon as it is idle.
  void reconnect();

  struct connection_report : ledger::connection_report {
    bool close_needed = false;                ///< as `reconnect` demands
    std::shared_ptr<const cancel_target> at;  ///< of an idle one: where it leads
  };
  [[nodiscard]] std::vector<connection_report> connections() const;
  [[nodiscard]] std::vector<ledger::pool_totals> totals() const;
  [[nodiscard]] ledger::totals count(const std::string& tenant) const;
  /// Why a wish of this tenant for this place has to wait.
  [[nodiscard]] bound bound_of(const std::string& tenant, const std::string& place) const;

  /// When the workers' threads have ended: lets go of everything, and of all that comes later.
  void close();
  [[nodiscard]] ledger::totals count() const;

  /// What a server of this key reports to a session that starts in this state, once it is known; a client is told so
  /// without a connection.
  [[nodiscard]] parameters_ptr greeting(const pool_key& key, const routing::session_state& start) const;
  void remember_greeting(const pool_key& key, const routing::session_state& start, parameters_ptr reported);

  /// Why no connection is worth asking for: none that is idle is dressed like this, and a moment ago a new one could
  /// not be. Nothing: it may be.
  [[nodiscard]] std::optional<pgwire::error_report> refusal(const pool_key& key, const routing::session_state& wanted,
                                                            refused_states::who wants);
  void remember_refusal(const pool_key& key, const routing::session_state_ptr& wanted, pgwire::error_report why);

 private:
  void sit_down(const connection_wish& wish, const seat_ptr& seat);
  static void get_up(pool_seat& seat);
  void carry_out(const ledger::grants& granted);
  static void deliver(pool_seat& to, permission what);
  permission hand_over(const grant& what);
  void close_idle_now(connection_id which);
  [[nodiscard]] bool is_left(const server_connection& one) const;

  // In server_pool_attempts.cpp; all under the mutex.
  struct put_off {
    pool_seat* seat = nullptr;
    connection_id id = 0;
  };
  using put_off_list = std::list<put_off>;
  bool begin_attempt(connection_id which);
  void end_attempt(connection_id which);
  void answer(connection_id which);
  void put_off_at(put_off_list::iterator where, pool_seat& seat, connection_id which);
  std::optional<connection_id> call_off(const pool_seat& seat);
  void let_try();
  void lend_to_put_off();

  const std::shared_ptr<const routing::server> server_;

  mutable std::mutex mutex_;
  bool closed_ = false;
  clock::time_point opened_before_{};  ///< by the lifetime
  clock::time_point reconnect_before_{};
  ledger ledger_;
  std::unordered_map<connection_id, connection_ptr>
      idle_;  ///< null: lent; it will come back, and the node is kept for it
  std::vector<endpoint> left_;
  ring<pool_seat> seated_;  ///< those who wait, or were granted what they have not collected

  connect_gate gate_;
  std::minstd_rand random_;
  std::unordered_map<connection_id, connect_gate::attempt> attempts_;  ///< under way
  clock::time_point last_tried_{};                                     ///< in vain, or by a look
  put_off_list put_off_;                                               ///< who is next is first
  std::unordered_map<const pool_seat*, put_off_list::iterator> put_off_by_seat_;

  counter crowded_out_;

  std::unordered_map<state_key, parameters_ptr, state_key_hash> greetings_;
  refused_states refused_;
  std::atomic<bool> any_refused_ = false;  ///< each lease asks
};

/// The pools of all servers. From any thread.
class server_pools {
 public:
  /// The pool of exactly this server; one of the same name that is configured differently is emptied as it comes back.
  std::shared_ptr<server_pool> of(const std::shared_ptr<const routing::server>& server);
  void retire(clock::time_point idle_before, clock::time_point opened_before);
  /// From now on no connection stays idle for long: another process needs what the servers let in.
  void make_room() { makes_room_ = true; }
  void on_tick();
  /// What is at this address, of whichever server: a standby, or a primary.
  void leave(const endpoint& where);
  void return_to(const endpoint& where);
  void close();
  /// Those that were replaced, too, as long as anybody uses a connection of theirs.
  [[nodiscard]] std::vector<std::shared_ptr<server_pool>> all() const;

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<server_pool>> by_name_;
  std::vector<std::weak_ptr<server_pool>> replaced_;
  std::atomic<bool> any_left_ = false;
  std::atomic<bool> makes_room_ = false;
};

}  // namespace proxy
