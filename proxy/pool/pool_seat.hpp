// Where one who asks a pool for connections waits for one: whom to call, and what was laid down for it meanwhile.
//
// The pool keeps a seat as long as somebody waits there, and calls from whichever thread; who waits may be gone by
// then, so its bell is known weakly, and rung by its own thread.
//
// What must hold: one seat, one pool at a time. All that is private is the pool's, under its mutex.
#pragma once

#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "proxy/bell.hpp"
#include "proxy/io.hpp"
#include "proxy/pool/ledger.hpp"
#include "proxy/pool/ring.hpp"
#include "proxy/pool/wish.hpp"

namespace proxy {

class server_connection;

class pool_seat : ledger::waiter {
 public:
  /// What an asker got: a connection, or the leave to open one under this id, which must be followed by the pool's
  /// `opened` or `closed`.
  struct permission {
    connection_id id = 0;
    std::shared_ptr<server_connection> connection;  ///< null: to be opened
    bool waited = false;                            ///< in the queue, before that
  };

  /// The bell is of that loop; it may be gone any time.
  pool_seat(const executor& home, std::weak_ptr<bell> rings) : home_(home), rings_(std::move(rings)), link_(this) {}
  pool_seat(const pool_seat&) = delete;
  pool_seat& operator=(const pool_seat&) = delete;

  /// As which it stands in the ledger.
  [[nodiscard]] waiter_id id() const { return std::bit_cast<std::uintptr_t>(this); }

 private:
  friend class server_pool;
  static pool_seat& of(waiter_id id) { return *std::bit_cast<pool_seat*>(static_cast<std::uintptr_t>(id)); }
  void call() const;

  const executor home_;
  const std::weak_ptr<bell> rings_;
  connection_wish wish_;  ///< what is waited for
  std::optional<permission> granted_;
  ring_link<pool_seat> link_;
  std::shared_ptr<pool_seat> itself_;  ///< while somebody waits here
};

}  // namespace proxy
