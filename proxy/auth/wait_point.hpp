// Where one coroutine waits for what another thread brings, or for a moment, until it is told to stop waiting.
//
// A session that waits must be able to leave: a job of another thread cannot be interrupted, but the waiting for it
// can. So whoever waits owns the wait point, those who bring something know it weakly, and what comes too late is
// dropped.
//
// What must hold: everything but `bring` happens in the home thread. A wait point does not outlive its event loop.
#pragma once

#include <boost/asio/post.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "proxy/io.hpp"

namespace proxy {

class wait_point {
 public:
  explicit wait_point(const executor& home) : alarm_(home, clock::time_point::max()) {}

  /// Ends a running wait, which then gives nothing. Does nothing to one that has not begun: to be called again.
  void cancel() { alarm_.cancel(); }

  /// Waits until `then`. False: cancelled.
  task<bool> wait_until(clock::time_point then) {
    alarm_.expires_at(then);
    auto [error] = co_await alarm_.async_wait(no_throw);
    co_return !error;
  }

 protected:
  timer alarm_;
};

template <class T>
class delivery : public wait_point {
 public:
  using wait_point::wait_point;

  /// What was brought, or nothing if the wait was cancelled.
  task<std::optional<T>> wait() {
    if (!value_) co_await alarm_.async_wait(no_throw);
    co_return std::exchange(value_, std::nullopt);
  }

  /// From any thread. The executor is the waiting one's home.
  static void bring(const std::weak_ptr<delivery>& to, T value) {
    auto target = to.lock();
    if (!target) return;
    const executor home = target->alarm_.get_executor();
    auto hand_over = [target = std::move(target), value = std::move(value)]() mutable {
      target->value_ = std::move(value);
      target->cancel();
    };
    asio::post(home, std::move(hand_over));
  }

 private:
  std::optional<T> value_;
};

}  // namespace proxy
