// One end of a session: a connected, non-blocking stream, plain or over TLS, that says what happened instead of
// throwing.
//
// Reading is "wait until readable, then read": while a session is idle it owns no buffer, because the bytes go to
// the worker's scratch when they are there and not before. A read that has emptied the stream says so, and the caller
// goes back to waiting without asking the kernel a second time.
//
// TLS is the same two functions on the same socket: a read may need the socket to be writable first, and the other way
// round; `wait_readable` and `wait_writable` know what the last read or write was short of.
//
// A stream that has long to live may go through the ring of its loop, where there is one and much to do: then what is
// small is received and sent together with what others' streams have.
//
// What it must keep: no operation here ever blocks or raises SIGPIPE; a transport is used by its worker's thread
// only.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <span>
#include <string>

#include "protocol/byte_reader.hpp"
#include "proxy/io.hpp"
#include "proxy/io_result.hpp"
#include "proxy/readiness.hpp"
#include "proxy/tls.hpp"

namespace proxy {

/// Why no TLS came about.
struct no_tls {
  std::string why;  ///< for people
  bool lost =
      false;  ///< the connection ended, or was told to wait no longer; else somebody's words or keys are no good
};

class transport {
 public:
  explicit transport(asio::io_context& context) : watch_(asio::use_service<readiness>(context)) {}
  ~transport() { close(); }  // NOLINT(bugprone-exception-escape): as of the watch
  transport(const transport&) = delete;
  transport& operator=(const transport&) = delete;

  /// Takes ownership of a stream descriptor of the given address family, and makes it non-blocking.
  void adopt(int family, int descriptor);

  /// A stream on its way from one event loop to another. Move-only: it closes what nobody adopts.
  class detached {
   public:
    detached(detached&& other) noexcept;
    detached& operator=(detached&& other) noexcept;
    ~detached();

   private:
    friend class transport;
    detached(int family, int descriptor, tls_stream tls)
        : family_(family), descriptor_(descriptor), tls_(std::move(tls)) {}
    int family_;
    int descriptor_;
    tls_stream tls_;
  };
  /// Lets go of the stream, between messages and with nothing to be written; every wait ends. Nothing if it is closed.
  [[nodiscard]] std::optional<detached> detach();
  /// Takes a stream over; this transport must be closed.
  void adopt(detached&& stream);

  /// From now on TLS is spoken, by a stream that was made for `descriptor()`. Shakes hands, waiting as needed. After an
  /// error the transport is good for nothing but closing.
  task<std::expected<void, no_tls>> secure(tls_stream stream);
  /// Null while plain text is spoken.
  [[nodiscard]] const tls_stream& tls() const { return tls_; }

  [[nodiscard]] io_result read_some(std::span<std::byte> into);
  /// Moves as much as the connection takes now. After would_block over TLS the next bytes written must begin with those
  /// that were not taken.
  [[nodiscard]] io_result write_some(std::span<const std::byte> from);
  /// Likewise; but what is done may be on its way only: it goes out before the loop waits for anything, together with
  /// what others write. If the connection is broken, a later call or a read finds out.
  [[nodiscard]] io_result write_soon(std::span<const std::byte> from);
  /// Whether something that was written has found no room yet.
  [[nodiscard]] bool owes();
  /// Waits until it has, or the connection broke, or the wait was cancelled.
  task<void> settle();

  /// From now on through the loop's ring, if it has one, whenever that pays.
  void may_use_ring() {
    may_ring_ = true;
    choose_ring();
  }

  /// The first byte that waits to be read, which stays there; nothing if none does. Plain text only.
  [[nodiscard]] std::optional<std::byte> peek();
  /// Whether the peer has closed and said nothing that was not read but goodbye. Takes nothing off the stream.
  [[nodiscard]] bool peer_closed();

  auto wait_readable() {
    choose_ring();
    return watch_.wait(seat::reader, read_waits_for_, no_throw);
  }
  auto wait_writable() { return watch_.wait(seat::writer, write_waits_for_, no_throw); }

  /// Writes all of it, waiting as needed. False when the connection broke or the wait was cancelled.
  task<bool> write_all(std::span<const std::byte> bytes);

  /// Says that no more will be written; reading goes on.
  void shut_write();
  /// Who waits to read goes on, as if there were something.
  void wake_reader() { watch_.wake_reader(); }
  /// Ends every wait of this transport with operation_aborted.
  void cancel();
  void close();

  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  using seat = readiness::watch::seat;

  /// What a TLS call's return value means; sets what `waits_for` must wait for.
  io_result tls_outcome(int returned, readable_or_writable& waits_for);
  io_result read_tls(std::span<std::byte> into);
  io_result write_tls(std::span<const std::byte> from);
  void say_goodbye();
  void choose_ring() {
    if (may_ring_ && watch_.ring_pays() != (watch_.ring() != nullptr)) change_ring();
  }
  void change_ring();

  readiness::watch watch_;
  int descriptor_ = -1;
  int family_ = 0;
  tls_stream tls_;
  bool may_ring_ = false;
  bool tls_broken_ = false;  ///< OpenSSL forbids even a goodbye after a failure, and before the handshake is done
  readable_or_writable read_waits_for_ = readable_or_writable::readable;
  readable_or_writable write_waits_for_ = readable_or_writable::writable;
};

/// A peer that always has more to read lets the other sessions of its worker run after this many rounds.
inline constexpr int rounds_before_yield = 8;

/// Switches on what every TCP connection of the lodge has: no delay, keep-alive. Does nothing to a Unix socket.
void tune(int family, int descriptor);

/// The peer's address for people: "192.0.2.7:50123", "[2001:db8::1]:50123" or "unix".
std::string describe(const endpoint& peer);

using pgwire::as_bytes;

}  // namespace proxy
