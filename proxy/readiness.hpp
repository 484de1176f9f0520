// Which sockets of an event loop can be read or written now.
//
// Asio tells, too; but each of its waits takes a call to the kernel of its own (epoll_ctl) to hear of what it was told
// before. Here a socket is registered once, edge-triggered, in a set that Asio's reactor watches: a wait costs no call,
// and however many sockets became ready at once, two calls find them all. Timers, posts and everything else stay
// Asio's.
//
// The price of edges is that they come once. So a socket that was found ready stays so until whoever reads it has seen
// the end of it and says `drained`; and a peer that has closed is ready for good.
//
// Where the kernel offers it, sockets that have long to live go through a ring instead while there is much to do
// (io_ring), which brings the bytes along with the news. Who waits sees no difference.
//
// What it must keep: a handler never runs inside `wait` or `cancel`. All is for the loop's thread only.
#pragma once

#include <array>
#include <boost/asio/async_result.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "proxy/io.hpp"
#include "proxy/io_ring.hpp"
#include "proxy/standing_watch.hpp"

struct epoll_event;

namespace proxy {

/// What a socket is waited for.
enum class readable_or_writable : std::uint8_t { readable, writable };

/// A service of the event loop: `asio::use_service<readiness>(context)`.
class readiness final : public asio::execution_context::service {
 public:
  static asio::execution_context::id id;
  using key_type = readiness;

  explicit readiness(asio::execution_context& loop);
  ~readiness() override;
  readiness(const readiness&) = delete;
  readiness& operator=(const readiness&) = delete;

  /// Opens the loop's ring; to be called by the loop's thread. Why there is none: for people.
  enum class ring_use : std::uint8_t { while_it_pays, always };
  [[nodiscard]] std::optional<std::string> open_ring(ring_use use);
  /// See io_ring::turn.
  void look_after_ring() {
    if (ring_) ring_->turn();
  }

  /// One socket's registration. Has two seats, so that who reads and who writes can wait at the same time, each for
  /// whatever it needs: over TLS a read may have to wait until the socket is writable.
  class watch final
      : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>>,
        private io_ring::owner {
   public:
    enum class seat : std::uint8_t { reader, writer };

    explicit watch(readiness& loop) : loop_(loop) {}
    ~watch() { end(); }  // NOLINT(bugprone-exception-escape): without memory for a post nothing goes on
    watch(const watch&) = delete;
    watch& operator=(const watch&) = delete;

    /// Takes up a socket, which must stay open until `end`. False: the kernel has no room for it.
    [[nodiscard]] bool begin(int descriptor);
    /// Every wait ends with operation_aborted.
    void end();
    void cancel();
    /// The reader's wait ends, as if it were over.
    void wake_reader();

    /// A read has found nothing more: who waits from now on waits for news.
    void drained() { ready_ = false; }
    /// Perhaps there is more to read and perhaps not: ask the kernel. For who cannot tell.
    void unsure();

    /// Whether the socket is better off in the loop's ring now: that pays while several are served in one look.
    [[nodiscard]] bool ring_pays() const {
      return loop_.ring_ != nullptr && (loop_.always_ || loop_.served_.is_large());
    }
    /// From now on the socket's bytes go through the ring, or do not, if that is possible now and nobody waits.
    void enter_ring();
    void leave_ring();
    /// Null: the socket is read and written directly.
    [[nodiscard]] io_ring::stream* ring() const { return stream_; }

    /// Completes with void(error_code). A seat takes one wait at a time.
    template <class Token>
    auto wait(seat who, readable_or_writable what, Token&& token) {
      return asio::async_initiate<Token, void(error_code)>(
          [this, who, what](auto woken) { sit(who, what, std::move(woken)); }, token);
    }

   private:
    friend class readiness;
    using handler = std::move_only_function<void(error_code)>;
    struct place {
      handler waiting;
      readable_or_writable what{};
    };
    void sit(seat who, readable_or_writable what, handler waiting);
    void on_events(std::uint32_t events);
    void on_ring(bool readable, bool writable) override { wake(readable, writable); }
    void wake(bool readable, bool writable);
    [[nodiscard]] bool begin_wait(readable_or_writable what);
    void register_again(std::uint32_t events);
    [[nodiscard]] bool waits_for(readable_or_writable what) const;
    [[nodiscard]] bool is_awaited() const;
    [[nodiscard]] bool join_set();

    readiness& loop_;
    io_ring::stream* stream_ = nullptr;
    int descriptor_ = -1;
    std::uint32_t registered_ = 0;  ///< the events that epoll was asked for
    bool ready_ = false;            ///< to be read, as far as is known
    bool closed_ = false;           ///< by the peer: will always be readable
    bool broken_ = false;           ///< will always be writable, too
    std::array<place, 2> seats_;
  };

 private:
  void shutdown() override;

  void on_edge();
  void forget(const watch& gone);
  void complete_later(watch::handler waiting, error_code how);

  asio::io_context& loop_;
  int set_;                        ///< the epoll descriptor
  std::vector<epoll_event> room_;  ///< for what one look finds
  standing_watch edge_;
  std::span<epoll_event> batch_;  ///< what is being handed out
  boost::intrusive::list<watch, boost::intrusive::constant_time_size<false>> watches_;
  look_size served_;
  std::unique_ptr<io_ring> ring_;
  bool always_ = false;
};

}  // namespace proxy
