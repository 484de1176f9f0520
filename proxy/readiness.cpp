#include "proxy/readiness.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <system_error>

namespace proxy {
namespace {

constexpr std::uint32_t always = EPOLLIN | EPOLLRDHUP | EPOLLET;
constexpr std::uint32_t ends_reading = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
constexpr std::uint32_t ends_writing = EPOLLHUP | EPOLLERR;

constexpr std::size_t events_of_a_look = 128;

int new_set() {
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  if (set < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  return set;
}

}  // namespace

asio::execution_context::id readiness::id;

readiness::readiness(asio::execution_context& loop)
    : service(loop),
      loop_(static_cast<asio::io_context&>(loop)),
      set_(new_set()),
      room_(events_of_a_look),
      edge_(loop_, set_, [](void* self) { static_cast<readiness*>(self)->on_edge(); }, this) {}

readiness::~readiness() { ::close(set_); }

// With the handlers go the coroutines that wait, and with them the sockets.
void readiness::shutdown() {
  edge_.end();
  if (ring_) ring_->stop();
  std::vector<watch::handler> ended;
  for (watch& one : watches_) {
    for (auto& place : one.seats_) {
      if (place.waiting) ended.push_back(std::exchange(place.waiting, nullptr));
    }
  }
}

std::optional<std::string> readiness::open_ring(ring_use use) {
  always_ = use == ring_use::always;
  auto opened = io_ring::open(loop_, served_);
  if (!opened) return std::move(opened.error());
  ring_ = std::move(*opened);
  return std::nullopt;
}

void readiness::on_edge() {
  const int n = ::epoll_wait(set_, room_.data(), static_cast<int>(room_.size()), 0);
  if (n <= 0) return;
  served_.note(static_cast<std::size_t>(n));
  batch_ = std::span(room_).first(static_cast<std::size_t>(n));
  for (const epoll_event& event : batch_) {
    if (event.data.ptr != nullptr) static_cast<watch*>(event.data.ptr)->on_events(event.events);
  }
  batch_ = {};
  // There may be more, and no edge will tell. Timers and posts have their turn first.
  if (static_cast<std::size_t>(n) == room_.size()) asio::post(loop_, [this] { on_edge(); });
}

// A socket that goes while events are handed out may have one among those to come.
void readiness::forget(const watch& gone) {
  for (epoll_event& event : batch_) {
    if (event.data.ptr == &gone) event.data.ptr = nullptr;
  }
}

void readiness::complete_later(watch::handler waiting, error_code how) {
  asio::post(loop_, [waiting = std::move(waiting), how]() mutable { waiting(how); });
}

bool readiness::watch::begin(int descriptor) {
  descriptor_ = descriptor;
  if (!join_set()) {
    descriptor_ = -1;
    return false;
  }
  loop_.watches_.push_back(*this);
  return true;
}

bool readiness::watch::join_set() {
  epoll_event wanted{};
  wanted.events = always;
  wanted.data.ptr = this;
  if (::epoll_ctl(loop_.set_, EPOLL_CTL_ADD, descriptor_, &wanted) != 0) return false;
  registered_ = always;
  ready_ = closed_ = broken_ = false;
  return true;
}

void readiness::watch::end() {
  if (descriptor_ < 0) return;
  if (stream_ != nullptr) {
    std::exchange(stream_, nullptr)->end();
  } else {
    ::epoll_ctl(loop_.set_, EPOLL_CTL_DEL, descriptor_, nullptr);
    loop_.forget(*this);
  }
  descriptor_ = -1;
  unlink();
  cancel();
}

void readiness::watch::enter_ring() {
  if (!loop_.ring_ || stream_ != nullptr || descriptor_ < 0 || is_awaited()) return;
  ::epoll_ctl(loop_.set_, EPOLL_CTL_DEL, descriptor_, nullptr);
  loop_.forget(*this);
  stream_ = &loop_.ring_->add(descriptor_, *this);
}

void readiness::watch::leave_ring() {
  if (stream_ == nullptr || is_awaited() || !stream_->leave()) return;
  std::exchange(stream_, nullptr)->end();
  if (!join_set()) stream_ = &loop_.ring_->add(descriptor_, *this);
}

bool readiness::watch::is_awaited() const {
  return std::ranges::any_of(seats_, [](const place& one) { return bool(one.waiting); });
}

void readiness::watch::cancel() {
  for (place& one : seats_) {
    if (one.waiting) loop_.complete_later(std::exchange(one.waiting, nullptr), asio::error::operation_aborted);
  }
}

void readiness::watch::wake_reader() {
  place& reader = seats_[static_cast<std::size_t>(seat::reader)];
  if (reader.waiting) loop_.complete_later(std::exchange(reader.waiting, nullptr), {});
}

void readiness::watch::unsure() {
  ready_ = false;
  register_again(registered_);
}

void readiness::watch::register_again(std::uint32_t events) {
  if (descriptor_ < 0 || stream_ != nullptr) return;
  epoll_event wanted{};
  wanted.events = registered_ = events;
  wanted.data.ptr = this;
  ::epoll_ctl(loop_.set_, EPOLL_CTL_MOD, descriptor_, &wanted);
}

void readiness::watch::sit(seat who, readable_or_writable what, handler waiting) {
  if (descriptor_ < 0) return loop_.complete_later(std::move(waiting), asio::error::bad_descriptor);
  if (!begin_wait(what)) return loop_.complete_later(std::move(waiting), {});
  seats_[static_cast<std::size_t>(who)] = {std::move(waiting), what};
}

// False: there is nothing to wait for.
bool readiness::watch::begin_wait(readable_or_writable what) {
  if (stream_ != nullptr) {
    return what == readable_or_writable::readable ? stream_->receive() : stream_->wait_for_room();
  }
  if (what == readable_or_writable::readable) return !ready_ && !closed_;
  if (broken_) return false;
  // Rare enough to ask the kernel each time; it answers with an edge if there is room already.
  register_again(always | EPOLLOUT);
  return true;
}

bool readiness::watch::waits_for(readable_or_writable what) const {
  return std::ranges::any_of(seats_, [&](const place& one) { return one.waiting && one.what == what; });
}

void readiness::watch::on_events(std::uint32_t events) {
  const bool readable = (events & (EPOLLIN | ends_reading)) != 0;
  const bool writable = (events & (EPOLLOUT | ends_writing)) != 0;
  ready_ = ready_ || readable;
  closed_ = closed_ || (events & ends_reading) != 0;
  broken_ = broken_ || (events & ends_writing) != 0;
  wake(readable, writable);
}

// Whoever is woken may end this watch.
void readiness::watch::wake(bool readable, bool writable) {
  std::array<handler, 2> woken;
  for (std::size_t i = 0; i < seats_.size(); ++i) {
    const bool is_due = seats_[i].what == readable_or_writable::readable ? readable : writable;
    if (seats_[i].waiting && is_due) woken[i] = std::exchange(seats_[i].waiting, nullptr);
  }
  if ((registered_ & EPOLLOUT) != 0 && !waits_for(readable_or_writable::writable)) register_again(always);
  for (handler& one : woken) {
    if (one) one({});
  }
}

}  // namespace proxy
