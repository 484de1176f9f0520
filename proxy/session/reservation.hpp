// A place in a server's budget, for a connection that a session has for itself as long as it lives.
//
// It is asked for as shared connections are, from the same ledger: so it waits its turn among them, and an idle one of
// theirs is closed to make room for it. It is held from the leave to open a connection, or from the loan of one that a
// session before has left behind, until that is closed or left behind in turn.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "proxy/bell.hpp"
#include "proxy/io.hpp"
#include "proxy/pool/server_pool.hpp"

namespace proxy {

class reservation {
 public:
  explicit reservation(asio::io_context& home)
      : bell_(std::make_shared<bell>(home)), seat_(std::make_shared<pool_seat>(home.get_executor(), bell_)) {}
  ~reservation() { release(); }
  reservation(const reservation&) = delete;
  reservation& operator=(const reservation&) = delete;

  /// Waits until `until` for leave to open a connection or for one that was left behind, which is looked at by
  /// `on_tick`. False: none was given, or `cancel` was called. Nothing may be held yet.
  task<bool> take(std::shared_ptr<server_pool> from, connection_wish wish, clock::time_point until);
  /// The connection did not come to be, since no server is in reach: waits for leave to try once more. False: as
  /// `take`, and nothing is held any more.
  task<bool> try_again(connection_wish wish, clock::time_point until);
  /// Ends a running wait; does nothing to one that has not begun.
  void cancel() { bell_->ring(); }
  void on_tick(clock::time_point now) {
    if (now >= until_) cancel();
  }
  /// Whether there is a connection already: it is to be taken over, none to be opened.
  [[nodiscard]] bool has_connection() const { return lent_ != nullptr; }
  /// That one, on this worker from now on, of which the caller has the stream alone. Null: it is lost, and nothing is
  /// held any more.
  task<connection_ptr> take_over(worker& home);
  /// Whoever calls this sees to it that the connection is given back to this pool, or is closed there.
  std::shared_ptr<server_pool> disown() { return std::exchange(held_by_, nullptr); }
  /// In the ledger; of one that is held.
  [[nodiscard]] connection_id id() const { return id_; }
  /// What became of it, for the pool, as there.
  void opened() { held_by_->opened(id_); }
  void answered() { held_by_->answered(id_); }
  void failed(std::string why) { held_by_->failed(id_, std::move(why)); }
  /// The connection is closed, did not come to be, or is not wanted. Does nothing if nothing is held.
  void release();

 private:
  task<bool> wait(std::shared_ptr<server_pool> from, clock::time_point until);
  void hold(server_pool::permission given, std::shared_ptr<server_pool> by);

  std::shared_ptr<bell> bell_;
  server_pool::seat_ptr seat_;
  std::shared_ptr<server_pool> held_by_;
  clock::time_point until_;
  connection_id id_ = 0;
  connection_ptr lent_;
};

}  // namespace proxy
