#include "proxy/session/reservation.hpp"

#include <utility>

namespace proxy {

task<bool> reservation::take(std::shared_ptr<server_pool> from, connection_wish wish, clock::time_point until) {
  wish.own = true;
  auto granted = from->ask(wish, bell_);
  if (!granted) {
    co_await bell_->wait_until(until);
    granted = from->collect(wish.who);
  }
  if (!granted) {
    from->give_up(wish.who);
    co_return false;
  }
  id_ = granted->id;
  held_by_ = std::move(from);
  co_return true;
}

void reservation::release() {
  if (const auto from = std::exchange(held_by_, nullptr)) from->closed(id_);
}

}  // namespace proxy
