#include "proxy/auth/auth_throttle.hpp"

#include <spdlog/spdlog.h>

#include <exception>

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

task<auth_throttle::turn> auth_throttle::enter(executor home, std::optional<auth_applicant> who,
                                               std::weak_ptr<wait_point>& waits_at) {
  turn result;
  do {
    result = {};
    result.how = co_await outwait_delay(home, who, step::begins, waits_at);
    if (result.how != outcome::entered) co_return result;
    result = co_await queue_up(home, who, waits_at);
    // While it waited for a place, those before it may have failed.
  } while (result.how == outcome::entered && who && closed_until(*who, step::begins));
  co_return result;
}

task<auth_throttle::outcome> auth_throttle::settle(executor home, std::optional<auth_applicant> who, bool is_right,
                                                   std::weak_ptr<wait_point>& waits_at) {
  co_return co_await outwait_delay(home, who, is_right ? step::was_right : step::was_wrong, waits_at);
}

task<auth_throttle::outcome> auth_throttle::outwait_delay(executor home, std::optional<auth_applicant> who, step next,
                                                          std::weak_ptr<wait_point>& waits_at) {
  if (!who) co_return outcome::entered;
  auto until = closed_until(*who, next);
  if (!until) co_return outcome::entered;
  if (!begin_delay(*who)) co_return outcome::refused;
  const finally delayed([this, &who] { end_delay(*who); });
  const auto pause = std::make_shared<wait_point>(home);
  waits_at = pause;
  while (until) {
    const bool waited = co_await pause->wait_until(*until);
    if (!waited) co_return outcome::cancelled;
    until = closed_until(*who, next);
  }
  co_return outcome::entered;
}

task<auth_throttle::turn> auth_throttle::queue_up(executor home, std::optional<auth_applicant> who,
                                                  std::weak_ptr<wait_point>& waits_at) {
  turn result;
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

void auth_throttle::failed(const std::optional<auth_applicant>& who, clock::time_point now) {
  if (!who) return;
  const std::scoped_lock lock(mutex_);
  delays_.failed(*who, now);
}

void auth_throttle::close() {
  const std::scoped_lock lock(mutex_);
  closed_ = true;
}

// Nothing: it is open, and the step is taken. One look, so that of many who were wrong at once one is told.
std::optional<clock::time_point> auth_throttle::closed_until(const auth_applicant& who, step next) {
  const std::scoped_lock lock(mutex_);
  const auto now = clock::now();
  auto until = delays_.closed_until(who, now);
  if (!until && next == step::was_wrong) delays_.failed(who, now);
  return until;
}

// False: too many wait already.
bool auth_throttle::begin_delay(const auth_applicant& who) {
  const std::scoped_lock lock(mutex_);
  const auto count = [](const auto& by, const auto& key) {
    const auto found = by.find(key);
    return found == by.end() ? 0 : found->second;
  };
  if (delayed_ >= most_delayed || count(delayed_by_role_, who) >= most_delayed_of_one ||
      count(delayed_by_neighbourhood_, who.neighbourhood) >= most_delayed_of_neighbourhood) {
    return false;
  }
  auto& of_role = delayed_by_role_[who];
  auto& of_all = delayed_by_neighbourhood_[who.neighbourhood];
  ++delayed_;
  ++of_role;
  ++of_all;
  return true;
}

void auth_throttle::end_delay(const auth_applicant& who) {
  const std::scoped_lock lock(mutex_);
  const auto one_less = [](auto& by, const auto& key) {
    const auto found = by.find(key);
    if (--found->second == 0) by.erase(found);
  };
  --delayed_;
  one_less(delayed_by_role_, who);
  one_less(delayed_by_neighbourhood_, who.neighbourhood);
}

auth_throttle::arrival auth_throttle::arrive(const std::optional<auth_applicant>& who,
                                             const std::shared_ptr<waiter>& at) {
  const std::scoped_lock lock(mutex_);
  arrival came;
  came.who = {next_id_++, who ? std::optional(who->neighbourhood) : std::nullopt};
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
