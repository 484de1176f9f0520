#include "proxy/session/reservation.hpp"

#include <utility>

namespace proxy {

task<bool> reservation::take(std::shared_ptr<server_pool> from, connection_wish wish, clock::time_point until) {
  if (auto granted = from->ask(wish, seat_)) {
    hold(std::move(*granted), std::move(from));
    co_return true;
  }
  co_return co_await wait(std::move(from), until);
}

task<bool> reservation::try_again(connection_wish wish, clock::time_point until) {
  auto from = std::exchange(held_by_, nullptr);
  from->try_later(id_, wish, seat_);
  co_return co_await wait(std::move(from), until);
}

task<bool> reservation::wait(std::shared_ptr<server_pool> from, clock::time_point until) {
  until_ = until;
  if (clock::now() < until) co_await bell_->wait();
  auto granted = from->collect(*seat_);
  if (!granted) {
    from->give_up(*seat_);
    co_return false;
  }
  hold(std::move(*granted), std::move(from));
  co_return true;
}

void reservation::hold(server_pool::permission given, std::shared_ptr<server_pool> by) {
  id_ = given.id;
  lent_ = std::move(given.connection);
  held_by_ = std::move(by);
}

task<connection_ptr> reservation::take_over(worker& home) {
  connection_ptr one = std::exchange(lent_, nullptr);
  if (!co_await held_by_->bring_home(home, one)) {
    held_by_.reset();
    co_return nullptr;
  }
  co_return one;
}

void reservation::release() {
  const auto from = std::exchange(held_by_, nullptr);
  if (from) from->hand_back({id_, std::exchange(lent_, nullptr)});
}

}  // namespace proxy
