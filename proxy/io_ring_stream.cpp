// One socket's part of a ring.
#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "proxy/io_ring.hpp"

namespace proxy {
namespace {

// Of taking back a request: the first one does, unless the kernel is short of memory.
constexpr int most_receives_taken_back = 3;

}  // namespace

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

bool io_ring::stream::receive() {
  if (readable()) return false;
  if (receiving_) return true;
  io_uring_sqe* const next = ring_.next_request();
  if (next == nullptr) return false;  // the kernel takes nothing now: asking it directly is all that is left
  io_uring_prep_recv(next, descriptor_, nullptr, buffer_size, 0);
  next->ioprio |= IORING_RECVSEND_POLL_FIRST;  // there is rarely anything yet
  next->flags |= IOSQE_BUFFER_SELECT;
  next->buf_group = stock_group;
  receiving_ = true;
  address(*next, request::receive);
  return true;
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

bool io_ring::stream::wait_for_room() {
  if (owes() || polling_) return true;
  io_uring_sqe* const next = ring_.next_request();
  if (next == nullptr) return false;
  io_uring_prep_poll_add(next, descriptor_, POLLOUT);
  polling_ = true;
  address(*next, request::room);
  return true;
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
  for (int tries = 0; receiving_ && tries < most_receives_taken_back; ++tries) {
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
