#include "proxy/io_ring.hpp"

#include <liburing.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <utility>

namespace proxy {
namespace {

// Copies of what one exchange sends; for more there are two.
constexpr std::size_t outgoing_room = std::size_t{128} * 1024;

// Timers and posts have their turn after this many rounds.
constexpr int rounds_of_a_turn = 4;

// What the kernel does in one call at least, if that many requests are due.
constexpr std::size_t most_done_at_once = 20;

// Of what a send came to that took less than it was given: whether it may be tried again.
bool found_no_room(int result) { return result >= 0 || result == -EAGAIN || result == -EINTR; }

}  // namespace

void io_ring::close::operator()(io_uring* ring) const {
  io_uring_queue_exit(ring);
  delete ring;
}

void io_ring::unmap::operator()(io_uring_buf_ring* stock) const { ::munmap(stock, buffers * sizeof(io_uring_buf)); }

io_ring::io_ring(asio::io_context& loop, look_size& served)
    : loop_(loop), served_(served), incoming_(buffers * buffer_size), outgoing_(outgoing_room) {}

// Their requests end with the ring, which is to be gone before the memory that they write to.
io_ring::~io_ring() {
  stop();
  ring_.reset();
  streams_.clear_and_dispose([](member* one) { delete static_cast<stream*>(one); });
}

io_ring::stream& io_ring::add(int descriptor, owner& whose) {
  auto* const made = new stream(*this, descriptor, whose);
  streams_.push_back(*made);
  return *made;
}

void io_ring::stop() {
  stopped_ = true;
  edge_.reset();
}

// --- the exchange ---

// Whoever is told of something usually has something to send, which goes with the next exchange: two calls for all
// that came at once. The bell is silent while this looks for itself, and not any more when it looks for the last time.
void io_ring::turn() {
  if (turning_ || stopped_) return;
  turning_ = true;
  ring_bell(false);
  exchange();
  bool more = true;
  std::size_t told = 0;
  for (int rounds = 0; more && rounds < rounds_of_a_turn; ++rounds) {
    ring_bell(false);
    told += tell_owners();
    ring_bell(true);
    more = exchange() || has_more();
  }
  turning_ = false;
  if (told > 0) served_.note(told);
  if (more) schedule();
}

// Whether the loop is to hear of what comes, or is looking already.
void io_ring::ring_bell(bool on) { static_cast<void>(io_uring_cq_eventfd_toggle(ring_.get(), on)); }

// Of what is due the kernel does only some at a time (since 6.13) and keeps silent about the rest. Nor does a small
// answer always say that nothing is left: a TCP socket whose end of writing is confirmed is looked at in vain, and
// counts. Who polls the ring is told.
bool io_ring::has_more() const {
  if (answers_ + half_closed_ < most_done_at_once) return false;
  pollfd asked{ring_->ring_fd, POLLIN, 0};
  return ::poll(&asked, 1, 0) == 1;
}

// Gives whether there is something to be done about what it brought.
bool io_ring::exchange() {
  if (stopped_) return false;
  // What the kernel does not take for lack of memory stays in the queue.
  static_cast<void>(io_uring_submit_and_get_events(ring_.get()));
  reap();
  if (io_uring_sq_ready(ring_.get()) == 0) settle_sends();
  const bool more = !news_.empty() || io_uring_sq_ready(ring_.get()) > 0;
  if (more) schedule();
  return more;
}

void io_ring::reap() {
  unsigned head = 0;
  unsigned count = 0;
  io_uring_cqe* one = nullptr;
  io_uring_for_each_cqe(ring_.get(), head, one) {
    ++count;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel carries nothing but a number
    auto* const on = reinterpret_cast<stream*>(one->user_data & ~kind_mask);
    switch (static_cast<request>(one->user_data & kind_mask)) {
      case request::receive: received(*on, one->res, one->flags); break;
      case request::send:
        on->fell_short_ = true;
        on->sent_ = one->res;
        break;
      case request::send_rest: rest_sent(*on, one->res); break;
      case request::room:
        on->polling_ = false;
        on->news(false, true);
        forget(*on);
        break;
      case request::take_back: break;
    }
  }
  io_uring_cq_advance(ring_.get(), count);
  answers_ = count;
}

void io_ring::received(stream& on, int result, std::uint32_t flags) {
  on.receiving_ = false;
  const bool has_buffer = (flags & IORING_CQE_F_BUFFER) != 0;
  const auto which = static_cast<std::uint16_t>(flags >> IORING_CQE_BUFFER_SHIFT);
  if (has_buffer && (result <= 0 || on.owner_ == nullptr)) give_back(which);
  if (on.owner_ == nullptr) return forget(on);
  if (result > 0) {
    on.buffer_ = which;
    on.from_ = 0;
    on.left_ = static_cast<std::uint32_t>(result);
    on.filled_ = on.left_ == buffer_size;
  } else if (result == 0) {
    on.ended_ = true;
  } else if (result == -ECANCELED) {
    return;
  } else if (result == -ENOBUFS || result == -EAGAIN || result == -EINTR) {
    on.look_ = true;
  } else {
    on.error_ = -result;
  }
  on.news(true, false);
}

// Of the sends that were handed over, those that came back have taken less than all; the others are done.
void io_ring::settle_sends() {
  for (const in_flight& each : sends_) {
    stream& on = *each.of;
    on.queued_ = false;
    if (std::exchange(on.fell_short_, false) && on.owner_ != nullptr) {
      const auto sent = static_cast<std::size_t>(std::max(0, on.sent_));
      const auto rest = std::span(outgoing_).subspan(each.from + sent, each.size - sent);
      if (found_no_room(on.sent_)) {
        on.rest_ = std::make_unique<stream::remainder>(std::vector<std::byte>(rest.begin(), rest.end()));
        send_rest(on);
      } else {
        on.break_off();
      }
    }
    forget(on);
  }
  sends_.clear();
  outgoing_size_ = 0;
}

// The kernel waits until there is room.
void io_ring::send_rest(stream& on) {
  const auto rest = std::span(on.rest_->bytes).subspan(on.rest_->sent);
  io_uring_sqe* const next = next_request();
  if (next == nullptr) return on.break_off();
  io_uring_prep_send(next, on.descriptor_, rest.data(), rest.size(), MSG_NOSIGNAL | MSG_WAITALL);
  on.address(*next, request::send_rest);
}

void io_ring::rest_sent(stream& on, int result) {
  if (result > 0) on.rest_->sent += static_cast<std::size_t>(result);
  const bool all = on.rest_->sent == on.rest_->bytes.size();
  if (!all && found_no_room(result) && on.owner_ != nullptr) return send_rest(on);
  if (all) {
    on.rest_.reset();
    if (on.owner_ != nullptr && on.shut_later_) on.say_end_of_writing();
  } else {
    on.break_off();
  }
  on.news(false, true);
  forget(on);
}

std::size_t io_ring::tell_owners() {
  telling_.swap(news_);
  for (stream* const each : telling_) {
    const bool readable = std::exchange(each->readable_news_, false);
    const bool writable = std::exchange(each->writable_news_, false);
    each->told_now_ = true;
    if (each->owner_ != nullptr) each->owner_->on_ring(readable, writable);
    each->told_now_ = false;
    forget(*each);
  }
  const std::size_t told = telling_.size();
  telling_.clear();
  return told;
}

// Soon, but after whatever else is about to be done, which may have something to send as well.
void io_ring::schedule() {
  if (turning_ || stopped_ || std::exchange(scheduled_, true)) return;
  asio::post(loop_, [this] {
    scheduled_ = false;
    turn();
  });
}

io_uring_sqe* io_ring::next_request() {
  io_uring_sqe* next = io_uring_get_sqe(ring_.get());
  if (next != nullptr) return next;
  static_cast<void>(io_uring_submit(ring_.get()));
  return io_uring_get_sqe(ring_.get());
}

void io_ring::give_back(std::uint16_t which) {
  const auto room = buffer(which);
  io_uring_buf_ring_add(stock_.get(), room.data(), static_cast<unsigned>(room.size()), which,
                        io_uring_buf_ring_mask(buffers), 0);
  io_uring_buf_ring_advance(stock_.get(), 1);
}

std::span<std::byte> io_ring::buffer(std::uint16_t which) {
  return std::span(incoming_).subspan(which * buffer_size, buffer_size);
}

// Once nobody has it any more.
void io_ring::forget(stream& gone) {
  if (gone.is_wanted()) return;
  if (gone.half_closed_) --half_closed_;
  streams_.erase(streams_.iterator_to(gone));
  delete &gone;
}

}  // namespace proxy
