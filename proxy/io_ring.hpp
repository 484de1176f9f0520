// What the sockets of an event loop receive and send, exchanged with the kernel many at a time: io_uring.
//
// With epoll every message takes a call that receives it and one that sends it on, besides those that ask what is
// ready. Here requests are queued, and one call hands over all that are and brings what came meanwhile: under load,
// less than a call for each transaction.
//
// Receiving: while somebody waits for a socket, a request for it is outstanding. The kernel takes a buffer from a stock
// that all share when bytes arrive, so that an idle socket owns none. Sending: bytes are copied, count as sent, and go
// with the next exchange, in which the kernel takes what it has room for; the rest is `owed`, and goes as there is
// room. What is large is not for the ring, since there the copy costs more than the call: it is read and written
// directly, before or after what is queued, never beside it.
//
// What it must keep: the order of a socket's bytes. While a receive is outstanding nobody else reads that socket, and
// at most one send of it is on its way. What the kernel was given stays where it is until it has come back: a stream
// whose owner has left lives on here until then. No owner is told anything within a call it made.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "proxy/io.hpp"
#include "proxy/io_result.hpp"
#include "proxy/look_size.hpp"
#include "proxy/owned_descriptor.hpp"
#include "proxy/standing_watch.hpp"

struct io_uring;
struct io_uring_buf_ring;
struct io_uring_sqe;

namespace proxy {

// Three files: the exchange; how a ring is set up and tried; one socket's part.
class io_ring {
 public:
  /// Whose a stream is.
  class owner {
   public:
    /// There is something to be read, or the end or failure of it; or there is room to write.
    virtual void on_ring(bool readable, bool writable) = 0;

   protected:
    ~owner() = default;
  };
  class stream;

  /// To be called by the loop's thread, which alone may use it. `served` must outlive it. Why there is none: for
  /// people.
  static std::expected<std::unique_ptr<io_ring>, std::string> open(asio::io_context& loop, look_size& served);
  /// After `stop`, by any thread.
  ~io_ring();
  io_ring(const io_ring&) = delete;
  io_ring& operator=(const io_ring&) = delete;

  /// Takes up a connected, non-blocking socket that nobody waits for elsewhere.
  stream& add(int descriptor, owner& whose);
  /// Exchanges what is due. The loop calls it by itself as soon as there is something; to be called now and then, so
  /// that a kernel which forgot to tell costs a moment and not a session.
  void turn();
  /// Nothing is exchanged any more. The loop must still be there.
  void stop();

 private:
  struct unmap {
    void operator()(io_uring_buf_ring* stock) const;
  };
  struct close {
    void operator()(io_uring* ring) const;
  };
  struct in_flight {
    stream* of;
    std::size_t from;  ///< in the outgoing bytes
    std::size_t size;
  };
  enum class request : std::uint8_t { receive, send, send_rest, room, take_back };
  // A stream and what was asked for it stand in the one word that a request brings back.
  static constexpr std::uint64_t kind_mask = 7;

  // Most messages fit into a buffer; what does not is read on directly. A power of two of them.
  static constexpr std::uint16_t buffers = 128;
  static constexpr std::size_t buffer_size = std::size_t{8} * 1024;
  static constexpr int stock_group = 0;
  // More is written directly.
  static constexpr std::size_t most_queued = std::size_t{16} * 1024;

  io_ring(asio::io_context& loop, look_size& served);
  [[nodiscard]] std::string set_up();
  [[nodiscard]] std::string prove();

  bool exchange();  // whether there is something to be done about what it brought
  void ring_bell(bool on);
  void reap();
  [[nodiscard]] bool has_more() const;
  void received(stream& on, int result, std::uint32_t flags);
  void settle_sends();
  void send_rest(stream& on);
  void rest_sent(stream& on, int result);
  std::size_t tell_owners();
  void schedule();
  [[nodiscard]] io_uring_sqe* next_request();
  void give_back(std::uint16_t buffer);
  [[nodiscard]] std::span<std::byte> buffer(std::uint16_t which);
  void forget(stream& gone);

  asio::io_context& loop_;
  look_size& served_;
  owned_descriptor bell_;  ///< the loop watches it
  std::unique_ptr<io_uring, close> ring_;
  std::unique_ptr<io_uring_buf_ring, unmap> stock_;
  std::vector<std::byte> incoming_;  ///< the buffers of the stock
  std::vector<std::byte> outgoing_;  ///< copies of what goes with the next exchange
  std::size_t outgoing_size_ = 0;
  std::vector<in_flight> sends_;
  std::vector<stream*> news_;     ///< whose owners are to be told
  std::vector<stream*> telling_;  ///< those that are being told
  struct member : boost::intrusive::list_base_hook<> {};
  boost::intrusive::list<member> streams_;
  std::unique_ptr<standing_watch> edge_;
  std::size_t answers_ = 0;      ///< in the latest exchange
  std::size_t half_closed_ = 0;  ///< streams whose end of writing was said
  bool turning_ = false;
  bool scheduled_ = false;
  bool stopped_ = false;
};

/// One socket's part of a ring. Owned by the ring; for its owner until `end`.
class io_ring::stream : private member {
 public:
  // --- reading ---

  /// The owner will be told when there is something to be read. False: there may be already.
  [[nodiscard]] bool receive();
  /// Whether `read_some` gives something without asking the kernel.
  [[nodiscard]] bool has_received() const { return left_ > 0 || ended_ || error_ != 0; }
  /// What was received; else, unless a request is outstanding, what is there now.
  [[nodiscard]] io_result read_some(std::span<std::byte> into);
  /// Bytes that were received and not read.
  [[nodiscard]] std::size_t unread() const { return left_; }

  // --- writing ---

  /// As much as the socket takes now.
  [[nodiscard]] io_result write_some(std::span<const std::byte> from);
  /// What is small is taken whole and goes with the next exchange; else likewise.
  [[nodiscard]] io_result write_soon(std::span<const std::byte> from);
  /// What was taken goes out now, as far as there is room.
  void flush();
  /// Whether something taken has found no room: nothing is written past it. The owner will be told of room.
  [[nodiscard]] bool owes() const { return rest_ != nullptr; }
  /// The owner will be told when the socket takes more. False: it is to be tried at once.
  [[nodiscard]] bool wait_for_room();
  /// No more will be written: says so to the peer once nothing is owed.
  void shut_write();

  // --- the end ---

  /// Takes back every request, for the socket to be used elsewhere. False: something came, or is owed.
  [[nodiscard]] bool leave();
  /// The owner leaves, and is about to close the descriptor. Nothing is told any more, and the stream is not the
  /// owner's.
  void end();

 private:
  friend class io_ring;
  struct remainder {
    std::vector<std::byte> bytes;
    std::size_t sent = 0;
  };
  stream(io_ring& ring, int descriptor, owner& whose) : ring_(ring), owner_(&whose), descriptor_(descriptor) {}
  [[nodiscard]] bool is_wanted() const {
    return owner_ != nullptr || told_now_ || receiving_ || polling_ || queued_ || owes() || has_news();
  }
  [[nodiscard]] bool readable() const { return has_received() || look_; }
  [[nodiscard]] bool has_news() const { return readable_news_ || writable_news_; }
  [[nodiscard]] io_result take(std::span<std::byte> into);
  [[nodiscard]] bool queue(std::span<const std::byte> bytes);
  void news(bool readable, bool writable);
  void address(io_uring_sqe& of, request kind);
  void break_off();
  void say_end_of_writing();

  io_ring& ring_;
  owner* owner_;
  const int descriptor_;
  int error_ = 0;           ///< errno of a receive
  std::uint32_t from_ = 0;  ///< in the buffer
  std::uint32_t left_ = 0;
  std::uint16_t buffer_ = 0;
  bool receiving_ = false;
  bool look_ = false;    ///< a receive came to nothing: there may be something, to be read directly
  bool filled_ = false;  ///< the buffer was too small for what was there, perhaps
  bool ended_ = false;
  bool queued_ = false;      ///< a send is in the queue
  bool fell_short_ = false;  ///< that send has taken less than it was given
  bool polling_ = false;
  bool shut_later_ = false;
  bool half_closed_ = false;
  bool readable_news_ = false;
  bool writable_news_ = false;
  bool told_now_ = false;
  std::unique_ptr<remainder> rest_;
  int sent_ = 0;  ///< by a send that fell short
};

}  // namespace proxy
