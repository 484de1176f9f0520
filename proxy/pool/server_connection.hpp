// A connection to a server that several clients use in turn: the stream, what lives in the server's session, and
// whoever has it on loan.
//
// One pump reads it as long as it lives on a worker, whether somebody has it on loan or not: so a server that closes an
// idle connection is noticed at once, and lending costs no registration. It moves to another worker by letting go of
// its descriptor there and taking it up here; only an idle connection moves.
//
// What it must keep: everything but `home` and `close_soon` is for the worker it lives on. Bytes for the server go
// out in the order of `send`; while some are set aside, whoever fills them must wait for `sent`.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "proxy/io.hpp"
#include "proxy/pool/server_session.hpp"
#include "proxy/pool/wish.hpp"
#include "proxy/session/byte_run.hpp"
#include "proxy/session/cancel_registry.hpp"
#include "proxy/session/outbox.hpp"
#include "proxy/transport.hpp"

namespace proxy {

class server_connection;
class worker;

/// Who has a connection on loan.
class lessee {
 public:
  /// Bytes of the server; they are gone when this returns. The lease may end in here.
  virtual void on_server(std::span<const std::byte> chunk) = 0;
  /// The server closed, or its connection broke; the lease is over.
  virtual void on_server_lost() = 0;
  /// What was set aside for the server has been sent.
  virtual void on_server_sent() = 0;
  /// Whether more may be read from the server now; if not, `server_connection::room_made` must follow.
  [[nodiscard]] virtual bool has_room() const = 0;

 protected:
  ~lessee() = default;
};

class server_connection : public std::enable_shared_from_this<server_connection> {
 public:
  /// To be told when an idle connection is lost. Called on the worker it lives on.
  using lost_handler = std::function<void(connection_id)>;

  server_connection(connection_id id, worker& home, std::shared_ptr<transport> io,
                    std::shared_ptr<const cancel_target> cancel, lost_handler lost_while_idle);
  ~server_connection();
  server_connection(const server_connection&) = delete;
  server_connection& operator=(const server_connection&) = delete;

  [[nodiscard]] connection_id id() const { return id_; }
  [[nodiscard]] const std::shared_ptr<const cancel_target>& cancel() const { return cancel_; }
  /// From any thread.
  [[nodiscard]] worker& home() const { return *home_.load(std::memory_order_acquire); }
  /// From any thread: closes it on the worker it lives on, if it is nobody's.
  void close_soon();

  /// Begins to read. Once for each worker it lives on.
  void start();
  /// Nobody had it on loan; from now on bytes go to `who`.
  void lend(lessee& who) { user_ = &who; }
  /// The lease is over; what lives in the session stays.
  void end_lease() { user_ = nullptr; }
  [[nodiscard]] bool is_open() const { return io_ && io_->is_open(); }
  [[nodiscard]] bool is_idle() const { return user_ == nullptr; }

  /// Sends, or sets aside what the server does not take now.
  void send(const byte_run& bytes);
  /// Whether nothing is set aside.
  [[nodiscard]] bool sent() const { return to_server_.empty(); }
  /// Bytes that are set aside.
  [[nodiscard]] std::size_t unsent() const { return to_server_.size(); }
  /// The lessee has room again.
  void room_made() { room_->cancel(); }
  /// Says goodbye, where that still means something, and closes.
  void close();

  /// Lets go of an idle connection's stream; nothing if it cannot be had, and then it is closed.
  [[nodiscard]] std::optional<transport::detached> leave_worker();
  void enter_worker(worker& next, transport::detached&& stream);

  server_session session;

 private:
  // Ends with its stream: once that has left the worker, it must not look at what has moved on.
  static task<void> pump(std::shared_ptr<server_connection> self, std::shared_ptr<transport> io);
  void on_bytes(std::span<const std::byte> chunk);
  void on_lost();

  const connection_id id_;
  std::atomic<worker*> home_;
  std::shared_ptr<transport> io_;
  const std::shared_ptr<const cancel_target> cancel_;
  const lost_handler lost_while_idle_;
  lessee* user_ = nullptr;
  outbox to_server_;
  std::optional<timer> room_;
};

using connection_ptr = std::shared_ptr<server_connection>;

}  // namespace proxy
