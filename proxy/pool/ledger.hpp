// The pool's ledger: one per PostgreSQL server, for all workers. It decides who gets which connection, when one may be
// opened, which idle one is closed to make room, and who of those who wait is next. Sans I/O: it knows no sockets,
// threads, clocks or logs; its owner holds a mutex around every call and carries out what comes back.
//
// Every connection belongs to one place: the one it was last lent for. Against `max_connections` and the place's size
// count all connections, lent or idle; against a tenant's limit those lent to it. An idle connection can always be
// closed in favour of another, so all that decides whether a wish can be granted is what is *lent*: on the server, in
// the place, to the tenant. Keys, clothes and workers decide only how it is granted:
//   1. an idle connection of the key, chosen as `idle_index` says; one of another place comes over, if the wish's place
//      has room for one more;
//   2. otherwise a new one, if server and place have room;
//   3. otherwise a new one instead of the least recently used idle one: of the place if that is full, else of all.
// A new connection is not opened while an idle one merely wears other clothes: to dress is cheaper.
//
// A tenant's minimum reserves capacity, not connections: while it has fewer lent than that, others are granted only
// what is free beyond what all such tenants lack. Idle connections therefore need no protection, they are free. At most
// all but one connection are reserved, or minima that exceed the budget would shut everybody else out for good. A
// minimum holds while nobody says otherwise, whether its tenant is there or not; without `max_connections` there is no
// reserve.
//
// Who waits is served as `fair_queue` says, but a connection that comes back passes by a few of its tenant for one of
// its own worker, which need not move between threads: to move it costs the lodge nearly as much CPU as a transaction.
//
// What must hold: after each call nobody waits who could be served. So who asks and can be served takes nothing away
// from those who wait, and is served at once. A wish whose limits differ from what the ledger knew may let others be
// served than the one who asked: `granted` tells.
//
// Each operation costs O(log n) of those who wait, but for `retire` and the counts. Give back only what was lent. Who
// asks brings what it waits in, so that nothing is allocated for a wait.
#pragma once

#include <algorithm>
#include <boost/container/small_vector.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "proxy/pool/fair_queue.hpp"
#include "proxy/pool/idle_index.hpp"
#include "proxy/pool/ring.hpp"
#include "proxy/pool/roster.hpp"
#include "proxy/pool/wish.hpp"

namespace proxy {

class ledger {
 public:
  using time_point = std::chrono::steady_clock::time_point;
  using grants = boost::container::small_vector<grant, 2>;  ///< seldom more than one
  class waiter;

  /// `servers.*.max_connections`; nothing: no limit.
  explicit ledger(std::optional<std::uint32_t> most_connections) : most_(most_connections) {}
  ledger(const ledger&) = delete;
  ledger& operator=(const ledger&) = delete;

  /// Nothing: the wish waits in `who`, and a later call's grants will name it. One that waits already goes on as it is.
  std::optional<grant> ask(const connection_wish& wish, waiter& who);
  /// To be called after `ask`: whom it let be served beside the one who asked. Who does not call it gets them with the
  /// next call that returns grants.
  grants granted() { return owed_.empty() ? grants() : std::exchange(owed_, {}); }
  /// Leaves the queue; false if it was not there: perhaps a grant for it is under way.
  bool withdraw(waiter& who);

  /// The connection granted by `open` or `replace` is established, for `opening` and `retire`.
  void opened(connection_id which, time_point now);
  /// The lease ends; the connection is idle and wears `state`. Implies `opened`.
  grants give_back(connection_id which, std::uint64_t state, time_point now);
  /// The connection is gone, whatever it was: failed to open, was lost, was closed instead of given back. Nothing
  /// happens if the ledger does not know it (any more).
  grants closed(connection_id which);
  /// Whether a lent connection should be closed instead of given back: it was opened before `opened_before`, or even
  /// what is lent is over a budget.
  [[nodiscard]] bool should_close(connection_id which, time_point opened_before) const;
  /// The idle connections that have been idle since before `idle_before`, were opened before `opened_before`, or are
  /// over a budget. The ledger forgets them, the caller closes them. O(connections).
  std::vector<connection_id> retire(time_point idle_before, time_point opened_before);

  /// Of connections that were one session's, only so many are kept idle in a place that nothing bounds: as each start
  /// has its own, they could be any number. The least recently used of those beyond, if there is one after `which` was
  /// given back; likewise forgotten.
  std::optional<connection_id> retire_surplus(connection_id which);
  /// Those of a place that are idle, likewise.
  std::vector<connection_id> retire_place(const std::string& name);

  /// For a reload, ahead of the wishes that will say the same. Connections over a lowered budget end by `retire` and
  /// `should_close`.
  grants set_most_connections(std::optional<std::uint32_t> most);
  grants set_place_size(const std::string& name, std::optional<std::uint32_t> size);
  grants set_minimum(const std::string& name, std::uint32_t minimum);

  /// Whether a connection of this key is idle.
  [[nodiscard]] bool has_idle(const pool_key& key) const;
  /// And wears this.
  [[nodiscard]] bool has_idle(const pool_key& key, std::uint64_t state) const;

  struct totals {
    std::size_t lent = 0;     ///< those being opened included
    std::size_t opening = 0;  ///< of them
    std::size_t idle = 0;
    std::size_t waiting = 0;
    friend bool operator==(const totals&, const totals&) = default;
  };
  struct pool_totals : totals {
    pool_key key;
    std::optional<time_point> waiting_since;  ///< of who has stood in the queue for longest
  };
  [[nodiscard]] totals count() const { return {lent_, opening_, idle_.size(), queue_.size()}; }
  /// Of one tenant; what is idle belongs to nobody.
  [[nodiscard]] totals count(const std::string& name) const;
  /// Why a wish of this tenant for this place has to wait.
  [[nodiscard]] bound bound_of(const std::string& name, const std::string& wanted) const;
  /// Of each key that has connections or waiters, in no order.
  [[nodiscard]] std::vector<pool_totals> pools() const;

  enum class status : std::uint8_t { connecting, lent, idle };
  struct connection_report {
    connection_id id = 0;
    status is = status::connecting;
    pool_key key;
    std::string place, tenant;  ///< it serves, or last served
    time_point opened;          ///< unless it is connecting
    bool own = false;           ///< who has it has it for as long as its session lasts
  };
  /// All of them, in no order. O(connections).
  [[nodiscard]] std::vector<connection_report> connections() const;

 private:
  struct connection;
  struct tenant : roster_entry<std::string, tenant>, fair_queue::flow {
    std::optional<std::uint32_t> most;
    std::uint32_t minimum = 0;
    std::size_t opening = 0;
    /// What is reserved for it. No more than it may have.
    [[nodiscard]] std::uint32_t lacks() const {
      const std::uint32_t due = most ? std::min(minimum, *most) : minimum;
      return due > lent ? due - lent : 0;
    }
  };
  struct place : roster_entry<std::string, place>, fair_queue::gate, idle_place {
    std::optional<std::uint32_t> size;
    std::size_t lent = 0;
    std::size_t total = 0;  ///< lent and idle
    ring<connection> left;  ///< of the idle, those that were one session's; the least recently used first
    std::size_t left_count = 0;
    [[nodiscard]] bool is_full() const { return size && total >= *size; }
  };
  struct pool : roster_entry<pool_key, pool>, idle_pool {
    std::size_t total = 0;  ///< lent and idle
    std::size_t idle_count = 0;
    std::size_t opening = 0;
    std::size_t waiting = 0;
    ring<waiter> waiters;  ///< who came first is first
  };
  using tenants = roster<std::string, tenant>;
  using places = roster<std::string, place>;
  using pool_roster = roster<pool_key, pool, pool_key_hash>;

  /// A wish whose names have become records.
  struct request {
    waiter_id who = 0;
    tenants::handle of;
    places::handle in;
    pool_roster::handle from;
    std::uint64_t state = 0;
    unsigned worker = 0;
    connection_id only = 0;
    bool takes_no_idle = false;
    bool own = false;
    time_point since;
  };
  struct connection : pooled {
    connection() : among_left(this) {}
    [[nodiscard]] bool was_one_sessions() const { return !from->name().start.empty(); }
    status is = status::connecting;
    time_point opened;
    bool own = false;
    time_point turn;     ///< when it was lent to its tenant by another's leave
    tenants::handle of;  ///< it serves, or last served
    places::handle in;
    pool_roster::handle from;
    ring_link<connection> among_left;
  };

  struct terms {
    std::optional<std::uint32_t> most;
    std::uint32_t minimum = 0, weight = 1;
  };
  bool adopt(const tenants::handle& of, const terms& now);
  bool adopt(place& in, std::optional<std::uint32_t> size);
  void count_lent(tenant& of, place& in, bool lent);
  void stand(tenant& of);
  void stand(place& in);

  [[nodiscard]] bool is_full() const { return most_ && lent_ >= *most_; }
  [[nodiscard]] bool has_more_than_reserved() const;
  [[nodiscard]] bool can_serve(const tenant& of, const place& in) const;

  static request step_out(waiter& who);
  void serve_waiting(grants& served);
  void serve_next(const connection& returned, time_point now, grants& served);
  void serve(fair_queue::waiter& next, grants& served);
  [[nodiscard]] static fair_queue::waiter& nearest(fair_queue::waiter& first, const connection& to, time_point now);
  bool serve_same_tenant(const connection& one, time_point now, grants& served);
  grant serve(request&& wish);
  [[nodiscard]] connection* choose_idle(const request& wish);
  connection& create(const request& wish);
  void lend(connection& one, request&& wish);
  void end_lease(connection& one);
  void come_idle(connection& one);
  void leave_idle(connection& one);
  void forget_idle(connection& one);

  std::optional<std::uint32_t> most_;
  tenants tenants_;
  places places_;
  pool_roster pools_;
  std::unordered_map<tenant*, tenants::handle> reserved_for_;  ///< tenants with a minimum: remembered for it
  std::uint64_t reserved_ = 0;                                 ///< what all tenants lack of their minimum
  idle_index idle_;
  fair_queue queue_;
  std::unordered_map<connection_id, connection> connections_;
  connection_id next_connection_ = 1;
  std::size_t lent_ = 0;
  std::size_t opening_ = 0;
  grants owed_;
};

/// What a wish waits in. Stays where it is in memory, and alive, while it does.
class ledger::waiter : fair_queue::waiter {
 public:
  waiter() : by_pool_(this) {}

 private:
  friend class ledger;
  request wish_;
  ring_link<waiter> by_pool_;
};

}  // namespace proxy
