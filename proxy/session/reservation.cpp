#include "proxy/session/reservation.hpp"

#include <utility>

namespace proxy {

task<bool> reservation::take(std::shared_ptr<server_pool> from, connection_wish wish, clock::time_point until) {
  wish.own = true;
  if (const auto granted = from->ask(wish, seat_)) {
    id_ = granted->id;
    held_by_ = std::move(from);
    co_return true;
  }
  co_return co_await wait(std::move(from), until);
}

task<bool> reservation::try_again(connection_wish wish, clock::time_point until) {
  wish.own = true;
  auto from = std::exchange(held_by_, nullptr);
  from->try_later(id_, wish, seat_);
  co_return co_await wait(std::move(from), until);
}

task<bool> reservation::wait(std::shared_ptr<server_pool> from, clock::time_point until) {
  until_ = until;
  if (clock::now() < until) co_await bell_->wait();
  const auto granted = from->collect(*seat_);
  if (!granted) {
    from->give_up(*seat_);
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
