#include "proxy/auth/auth_throttle.hpp"

#include <spdlog/spdlog.h>

#include <exception>

#include "proxy/auth/peer_address.hpp"

namespace proxy {
namespace {

// Calls `end` where its scope ends, also that of a coroutine that is destroyed while it waits.
template <class End>
class finally {
 public:
  explicit finally(End end) : end_(std::move(end)) {}
  ~finally() { end_(); }
  finally(const finally&) = delete;
  finally& operator=(const finally&) = delete;

 private:
  End end_;
};

}  // namespace

auth_throttle::place::~place() {
  if (in_ == nullptr) return;
  try {
    in_->leave(who_);
  } catch (const std::exception& error) {
    // Who would have been next waits until its session's startup has lasted too long.
    spdlog::error("the next authentication could not be told that it may begin: {}", error.what());
  }
}

task<auth_throttle::turn> auth_throttle::enter(executor home, std::optional<conf::ip_address> who,
                                               std::weak_ptr<wait_point>& waits_at) {
  if (who) who = neighbourhood(*who);
  turn result;
  const auto delay = begin_delay(who);
  if (!delay) {
    result.how = outcome::refused;
    co_return result;
  }
  if (*delay > clock::duration::zero()) {
    const finally delayed([this] { end_delay(); });
    const auto pause = std::make_shared<wait_point>(home);
    waits_at = pause;
    const auto until = clock::now() + *delay;
    if (!co_await pause->wait_until(until)) co_return result;
  }

  const auto queue = std::make_shared<waiter>(home);
  waits_at = queue;
  const arrival came = arrive(who, queue);
  switch (came.answer) {
    case admission::answer::refuse: result.how = outcome::refused; break;
    case admission::answer::enter:
      result.how = outcome::entered;
      result.held = place(*this, came.who);
      break;
    case admission::answer::wait: {
      const finally queued([this, id = came.who.id] { give_up(id); });
      auto given = co_await queue->wait();
      if (!given) break;
      result.how = outcome::entered;
      result.held = std::move(*given);
      break;
    }
  }
  co_return result;
}

void auth_throttle::failed(const std::optional<conf::ip_address>& who, clock::time_point now) {
  if (!who) return;
  const std::scoped_lock lock(mutex_);
  delays_.failed(neighbourhood(*who), now);
}

void auth_throttle::close() {
  const std::scoped_lock lock(mutex_);
  closed_ = true;
}

// Nothing: refused.
std::optional<clock::duration> auth_throttle::begin_delay(const std::optional<conf::ip_address>& who) {
  if (!who) return clock::duration::zero();
  const std::scoped_lock lock(mutex_);
  const auto delay = delays_.delay_of(*who, clock::now());
  if (delay == clock::duration::zero()) return delay;
  if (delayed_ >= most_delayed) return std::nullopt;
  ++delayed_;
  return delay;
}

void auth_throttle::end_delay() {
  const std::scoped_lock lock(mutex_);
  --delayed_;
}

auth_throttle::arrival auth_throttle::arrive(const std::optional<conf::ip_address>& who,
                                             const std::shared_ptr<waiter>& at) {
  const std::scoped_lock lock(mutex_);
  arrival came;
  came.who = {next_id_++, who};
  came.answer = admission_.arrive(came.who);
  if (came.answer == admission::answer::wait) waiters_.emplace(came.who.id, std::pair(came.who, at));
  return came;
}

void auth_throttle::give_up(std::uint64_t id) {
  const std::scoped_lock lock(mutex_);
  // Who was given a place waits no more, and the place ends with the wait point.
  if (waiters_.erase(id) > 0) admission_.give_up(id);
}

void auth_throttle::leave(const admission::visitor& who) {
  std::weak_ptr<waiter> next;
  place given;
  {
    const std::scoped_lock lock(mutex_);
    if (closed_) return;
    const auto id = admission_.leave(who);
    if (!id) return;
    const auto found = waiters_.find(*id);
    given = place(*this, found->second.first);
    next = found->second.second;
    waiters_.erase(found);
  }
  // Without the mutex: if the waiter is gone, the place ends here and the next one is looked for.
  waiter::bring(next, std::move(given));
}

}  // namespace proxy
