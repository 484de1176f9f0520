#include "proxy/session/outbox.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace proxy {
namespace {

// What has been sent is taken out of the buffer when it is most of it, and worth the copy.
constexpr std::size_t least_worth_moving = std::size_t{256} * 1024;

}  // namespace

bool outbox::send(const executor& home, const std::shared_ptr<transport>& to, std::span<const std::byte> bytes,
                  std::shared_ptr<void> alive) {
  if (empty() && !draining_) {
    const io_result wrote = to->write_soon(bytes);
    if (wrote.status == io_status::failed) return false;
    bytes = bytes.subspan(wrote.bytes);
  }
  if (bytes.empty()) return true;
  aside_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!std::exchange(draining_, true)) asio::co_spawn(home, drain(this, to, std::move(alive)), asio::detached);
  return true;
}

task<void> outbox::drain(outbox* self, std::shared_ptr<transport> to, std::shared_ptr<void>) {
  while (!self->empty()) {
    auto [error] = co_await to->wait_writable();
    if (self->given_up_ || !to->is_open()) break;
    if (error == asio::error::operation_aborted) continue;
    if (error) break;
    const io_result wrote = to->write_some(as_bytes(self->aside_).subspan(self->sent_));
    if (wrote.status == io_status::failed) break;
    self->sent_ += wrote.bytes;
    if (self->sent_ > least_worth_moving && self->sent_ * 2 > self->aside_.size()) {
      self->aside_.erase(0, std::exchange(self->sent_, 0));
    }
    self->moved_();
  }
  self->cut_ = self->cut_ || !self->empty();
  self->aside_ = std::string();  // from {} it would keep its memory
  self->sent_ = 0;
  self->draining_ = false;
  self->moved_();
}

}  // namespace proxy
