// One end of a session: a connected, non-blocking stream socket that says what happened instead of throwing.
//
// Reading is "wait until readable, then read": while a session is idle it owns no buffer, because the bytes go to
// the worker's scratch when they are there and not before. A read that fills less than it was given has emptied
// the socket, so the caller goes back to waiting without asking the kernel a second time.
//
// What it must keep: no operation here ever blocks or raises SIGPIPE; a transport is used by its worker's thread
// only.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "proxy/io.hpp"

namespace proxy {

/// What one read or write came to.
enum class io_status {
  done,         ///< `bytes` were moved (for a read: at least one)
  would_block,  ///< nothing could be moved now; wait for readiness
  end,          ///< read only: the peer will send no more
  failed,       ///< the connection is broken; `error` says how
};

struct io_result {
  std::size_t bytes = 0;
  io_status status = io_status::done;
  int error = 0;  ///< errno when status is failed
};

class transport {
 public:
  explicit transport(asio::io_context& context) : socket_(context) {}

  /// Takes ownership of a stream descriptor of the given address family, and makes it non-blocking.
  void adopt(int family, int descriptor);

  [[nodiscard]] io_result read_some(std::span<std::byte> into);
  [[nodiscard]] io_result write_some(std::span<const std::byte> from);

  /// Whether bytes, or the end of the stream, can be read right now. Takes nothing off the socket.
  [[nodiscard]] bool has_input();
  /// Whether the peer has closed and all it sent was read. Takes nothing off the socket.
  [[nodiscard]] bool peer_closed();

  auto wait_readable() { return socket_.async_wait(stream_socket::wait_read, no_throw); }
  auto wait_writable() { return socket_.async_wait(stream_socket::wait_write, no_throw); }

  /// Writes all of it, waiting as needed. False when the connection broke or the wait was cancelled.
  task<bool> write_all(std::span<const std::byte> bytes);

  /// Says that no more will be written; reading goes on.
  void shut_write();
  /// Ends every wait of this transport with operation_aborted.
  void cancel();
  void close();

  [[nodiscard]] bool is_open() const { return socket_.is_open(); }
  [[nodiscard]] stream_socket& socket() { return socket_; }

 private:
  stream_socket socket_;
};

/// Switches on what every TCP connection of the lodge has: no delay, keep-alive. Does nothing to a Unix socket.
void tune(int family, int descriptor);

/// The peer's address for people: "192.0.2.7:50123", "[2001:db8::1]:50123" or "unix".
std::string describe(const endpoint& peer);

[[nodiscard]] inline std::span<const std::byte> as_bytes(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

}  // namespace proxy
