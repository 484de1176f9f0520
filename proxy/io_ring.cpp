#include "proxy/io_ring.hpp"

#include <liburing.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <system_error>
#include <utility>

namespace proxy {
namespace {

// Requests that one exchange can carry; for more there are two.
constexpr unsigned most_requests = 512;
// Answers that wait to be looked at; the kernel keeps what goes beyond.
constexpr unsigned most_answers = 4096;

// Most messages fit into one; what does not is read on directly. A power of two of them.
constexpr std::uint16_t buffers = 128;
constexpr std::size_t buffer_size = std::size_t{8} * 1024;
constexpr int stock_group = 0;

// More is written directly.
constexpr std::size_t most_queued = std::size_t{16} * 1024;
constexpr std::size_t outgoing_room = std::size_t{128} * 1024;

// Timers and posts have their turn after this many rounds.
constexpr int rounds_before_yield = 4;

// What the kernel does in one call at least, if that many requests are due.
constexpr std::size_t most_done_at_once = 20;

// A stream and what was asked for it, in the one word that a request brings back.
constexpr std::uint64_t kind_mask = 7;

// Of what a send came to that took less than it was given: whether it may be tried again.
bool found_no_room(int result) { return result >= 0 || result == -EAGAIN || result == -EINTR; }

std::string in_words(std::string_view call, int error) {
  return std::string(call) + ": " + std::generic_category().message(error);
}

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

std::expected<std::unique_ptr<io_ring>, std::string> io_ring::open(asio::io_context& loop, look_size& served) {
  std::unique_ptr<io_ring> made(new io_ring(loop, served));
  made->turning_ = true;  // as yet, by hand
  if (auto failed = made->set_up(); !failed.empty()) return std::unexpected(std::move(failed));
  if (auto failed = made->prove(); !failed.empty()) return std::unexpected(std::move(failed));
  made->turning_ = false;
  const auto at_edge = [](void* self) { static_cast<io_ring*>(self)->turn(); };
  made->edge_ = std::make_unique<standing_watch>(loop, made->bell_.get(), at_edge, made.get());
  return made;
}

// One thread hands over requests, and nothing is done behind its back: the kernel does its part of the work within
// the thread's own calls, which spares it the interruptions.
std::string io_ring::set_up() {
  auto ring = std::make_unique<io_uring>();
  io_uring_params wanted{};
  wanted.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_COOP_TASKRUN |
                 IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
  wanted.cq_entries = most_answers;
  if (const int failed = io_uring_queue_init_params(most_requests, ring.get(), &wanted); failed != 0) {
    return in_words("io_uring_setup", -failed);
  }
  ring_.reset(ring.release());
  if (const int failed = io_uring_register_ring_fd(ring_.get()); failed < 0) {
    return in_words("io_uring_register", -failed);
  }
  void* const room =
      ::mmap(nullptr, buffers * sizeof(io_uring_buf), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return in_words("mmap", errno);
  stock_.reset(static_cast<io_uring_buf_ring*>(room));
  io_uring_buf_reg described{};
  described.ring_addr = reinterpret_cast<std::uintptr_t>(room);
  described.ring_entries = buffers;
  described.bgid = stock_group;
  if (const int failed = io_uring_register_buf_ring(ring_.get(), &described, 0); failed != 0) {
    return in_words("io_uring_register", -failed);
  }
  bell_ = owned_descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!bell_.is_open()) return in_words("eventfd", errno);
  if (const int failed = io_uring_register_eventfd(ring_.get(), bell_.get()); failed != 0) {
    return in_words("io_uring_register", -failed);
  }
  io_uring_buf_ring_init(stock_.get());
  for (std::uint16_t i = 0; i < buffers; ++i) give_back(i);
  return {};
}

// A kernel that kept silent about a send that fell short would lose bytes: what everything here relies on is tried
// before anything depends on it.
std::string io_ring::prove() {
  struct line final : owner {
    void on_ring(bool, bool) override {}
    ~line() {
      for (const int end : ends) ::close(end);
    }
    std::array<int, 2> ends{-1, -1};
  } tried;
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, tried.ends.data()) != 0) {
    return in_words("socketpair", errno);
  }
  stream& near = add(tried.ends[0], tried);
  const std::vector<std::byte> much(most_queued, std::byte{'x'});
  std::size_t taken = 0;
  for (int tries = 0; !near.owes() && tries < 10'000; ++tries) {
    taken += near.write_soon(much).bytes;
    near.flush();
  }
  std::size_t came = 0;
  std::vector<std::byte> into(most_queued);
  for (int tries = 0; came < taken && tries < 10'000; ++tries) {
    const ssize_t n = ::recv(tried.ends[1], into.data(), into.size(), 0);
    if (n > 0) came += static_cast<std::size_t>(n);
    exchange();
  }
  const bool whole = came == taken && !near.owes();
  near.receive();
  static_cast<void>(exchange());
  const bool sent = ::send(tried.ends[1], "?", 1, MSG_NOSIGNAL) == 1;
  static_cast<void>(exchange());
  const bool heard = sent && near.read_some(into).bytes == 1;
  ::shutdown(tried.ends[0], SHUT_RDWR);
  news_.clear();
  near.readable_news_ = near.writable_news_ = false;
  near.end();
  static_cast<void>(exchange());
  return whole && heard ? std::string() : "the kernel's io_uring does not keep what it promises";
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
  for (int rounds = 0; more && rounds < rounds_before_yield; ++rounds) {
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

// --- one socket ---

void io_ring::stream::address(io_uring_sqe& of, request kind) {
  of.user_data = reinterpret_cast<std::uintptr_t>(this) | static_cast<std::uint64_t>(kind);
  ring_.schedule();
}

void io_ring::stream::news(bool readable, bool writable) {
  if (owner_ == nullptr) return;
  if (!has_news()) ring_.news_.push_back(this);
  readable_news_ = readable_news_ || readable;
  writable_news_ = writable_news_ || writable;
}

void io_ring::stream::receive() {
  if (receiving_ || readable()) return;
  io_uring_sqe* const next = ring_.next_request();
  if (next == nullptr) {
    look_ = true;  // the kernel takes nothing now: asking it directly is all that is left
    news(true, false);
    return ring_.schedule();
  }
  io_uring_prep_recv(next, descriptor_, nullptr, buffer_size, 0);
  next->ioprio |= IORING_RECVSEND_POLL_FIRST;  // there is rarely anything yet
  next->flags |= IOSQE_BUFFER_SELECT;
  next->buf_group = stock_group;
  receiving_ = true;
  address(*next, request::receive);
}

io_result io_ring::stream::read_some(std::span<std::byte> into) {
  if (has_received()) return take(into);
  if (receiving_) return {0, io_status::would_block, 0, true};
  look_ = false;
  return receive_now(descriptor_, into);
}

io_result io_ring::stream::take(std::span<std::byte> into) {
  if (left_ == 0) return ended_ ? io_result{0, io_status::end, 0, true} : io_result{0, io_status::failed, error_, true};
  const auto n = std::min<std::size_t>(left_, into.size());
  std::ranges::copy(ring_.buffer(buffer_).subspan(from_, n), into.begin());
  from_ += static_cast<std::uint32_t>(n);
  left_ -= static_cast<std::uint32_t>(n);
  if (left_ == 0) ring_.give_back(buffer_);
  return {n, io_status::done, 0, left_ == 0 && !filled_};
}

io_result io_ring::stream::write_some(std::span<const std::byte> from) {
  flush();
  if (owes()) return {0, io_status::would_block, 0, false};
  return send_now(descriptor_, from);
}

io_result io_ring::stream::write_soon(std::span<const std::byte> from) {
  if (queue(from)) return {from.size(), io_status::done, 0, false};
  return write_some(from);
}

bool io_ring::stream::queue(std::span<const std::byte> bytes) {
  if (queued_ || owes() || bytes.size() > most_queued || ring_.stopped_) return false;
  if (bytes.empty()) return true;
  if (ring_.outgoing_.size() - ring_.outgoing_size_ < bytes.size()) ring_.exchange();
  const auto room = std::span(ring_.outgoing_).subspan(ring_.outgoing_size_);
  if (room.size() < bytes.size()) return false;
  io_uring_sqe* const next = ring_.next_request();
  if (next == nullptr) return false;
  std::ranges::copy(bytes, room.begin());
  // Only a send that falls short is answered: one that went well has nothing to tell.
  io_uring_prep_send(next, descriptor_, room.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT | MSG_WAITALL);
  next->flags |= IOSQE_CQE_SKIP_SUCCESS;
  ring_.sends_.push_back({this, ring_.outgoing_size_, bytes.size()});
  ring_.outgoing_size_ += bytes.size();
  queued_ = true;
  address(*next, request::send);
  return true;
}

void io_ring::stream::flush() {
  if (queued_) ring_.exchange();
}

void io_ring::stream::wait_for_room() {
  if (owes() || polling_) return;
  io_uring_sqe* const next = ring_.next_request();
  if (next == nullptr) {
    news(false, true);
    return ring_.schedule();
  }
  io_uring_prep_poll_add(next, descriptor_, POLLOUT);
  polling_ = true;
  address(*next, request::room);
}

void io_ring::stream::shut_write() {
  flush();
  shut_later_ = owes();
  if (!shut_later_) say_end_of_writing();
}

void io_ring::stream::say_end_of_writing() {
  if (!std::exchange(half_closed_, true)) ++ring_.half_closed_;
  ::shutdown(descriptor_, SHUT_WR);
}

// Bytes that count as sent are lost. Nothing may come behind them: who reads or writes next finds the connection
// broken.
void io_ring::stream::break_off() {
  rest_.reset();
  if (owner_ != nullptr) ::shutdown(descriptor_, SHUT_RDWR);
}

bool io_ring::stream::leave() {
  flush();
  if (owes() || polling_ || readable()) return false;
  // A request that waits comes back within the call that takes it back.
  for (int tries = 0; receiving_ && tries < 3; ++tries) {
    io_uring_sqe* const next = ring_.next_request();
    if (next == nullptr) return false;
    const auto what = reinterpret_cast<std::uintptr_t>(this) | static_cast<std::uint64_t>(request::receive);
    io_uring_prep_cancel64(next, what, 0);
    address(*next, request::take_back);
    ring_.exchange();
  }
  return !receiving_ && !readable();
}

// What the kernel still has of it comes back once the socket is shut.
void io_ring::stream::end() {
  flush();
  if (left_ > 0) ring_.give_back(buffer_);
  left_ = 0;
  owner_ = nullptr;
  if (receiving_ || polling_ || owes()) {
    if (!std::exchange(half_closed_, true)) ++ring_.half_closed_;
    ::shutdown(descriptor_, SHUT_RDWR);
  }
  ring_.forget(*this);
}

}  // namespace proxy
