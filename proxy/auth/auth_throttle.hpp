// Slows authentications down: each waits for the delay that its role, from its neighbourhood, has earned or all from
// there have (`failure_delays`), then for a place among those that are under way (`admission`). Both are one for the
// whole daemon, under one short mutex.
//
// What is promised: however many of one neighbourhood try a role at once, after the failures that are free they hear of
// one wrong secret per delay. Therefore the delay is looked at three times, and each time until it is over: before an
// authentication begins, when it has waited for a place, and when its verdict is there, which may not be told while
// the way is closed, right or wrong. Where nobody has failed nobody waits, and where somebody has all who are right get
// in side by side as long as it is open. Few may wait for a delay; more are refused, or they would keep sessions for
// nothing: most would have to wait longer than a startup may last.
//
// A place is a handle; where it ends, the next of the queue gets it, is told through its wait point, and holds it from
// that moment on, whether it still waits or not.
//
// What must hold: the throttle outlives its places and its waiters. After `close`, nobody is told anything any more; to
// be called when the event loops' threads have ended, before what waits in them is destroyed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

#include "proxy/auth/admission.hpp"
#include "proxy/auth/failure_delays.hpp"
#include "proxy/auth/wait_point.hpp"

namespace proxy {

class auth_throttle {
 public:
  /// Clients that serve their delay, over the whole daemon; more are refused.
  static constexpr std::size_t most_delayed = 4096;
  static constexpr std::size_t most_delayed_of_one = 32;             ///< likewise, of one role from one neighbourhood
  static constexpr std::size_t most_delayed_of_neighbourhood = 256;  ///< likewise, of all roles

  class [[nodiscard]] place {
   public:
    place() = default;
    place(place&& other) noexcept : in_(std::exchange(other.in_, nullptr)), who_(other.who_) {}
    place& operator=(place&& other) noexcept {
      std::swap(in_, other.in_);
      std::swap(who_, other.who_);
      return *this;
    }
    ~place();

   private:
    friend class auth_throttle;
    place(auth_throttle& in, const admission::visitor& who) : in_(&in), who_(who) {}
    auth_throttle* in_ = nullptr;
    admission::visitor who_;
  };

  enum class outcome : std::uint8_t { entered, refused, cancelled };
  struct turn {
    outcome how = outcome::cancelled;
    place held;  ///< if entered
  };

  auth_throttle() = default;
  explicit auth_throttle(const admission::bounds& limits) : admission_(limits) {}
  auth_throttle(const auth_throttle&) = delete;
  auth_throttle& operator=(const auth_throttle&) = delete;

  /// Waits in the thread of `home` for the delay and then for a place. While it waits, `waits_at` is where to cancel
  /// it.
  task<turn> enter(executor home, std::optional<auth_applicant> who, std::weak_ptr<wait_point>& waits_at);

  /// To be asked with each verdict on a secret before anybody is told. Waits, as above, until it may be told, and then
  /// counts the failure if it is one; `entered`: it may be told. Holds no place, so give it back before.
  task<outcome> settle(executor home, std::optional<auth_applicant> who, bool is_right,
                       std::weak_ptr<wait_point>& waits_at);

  /// A client was wrong in another way, which tells it nothing about any secret.
  void failed(const std::optional<auth_applicant>& who, clock::time_point now);

  void close();

 private:
  using waiter = delivery<place>;
  struct arrival {
    admission::answer answer = admission::answer::refuse;
    admission::visitor who;
  };
  enum class step : std::uint8_t { begins, was_right, was_wrong };
  task<outcome> outwait_delay(executor home, std::optional<auth_applicant> who, step next,
                              std::weak_ptr<wait_point>& waits_at);
  task<turn> queue_up(executor home, std::optional<auth_applicant> who, std::weak_ptr<wait_point>& waits_at);
  [[nodiscard]] std::optional<clock::time_point> closed_until(const auth_applicant& who, step next);
  [[nodiscard]] bool begin_delay(const auth_applicant& who);
  void end_delay(const auth_applicant& who);
  arrival arrive(const std::optional<auth_applicant>& who, const std::shared_ptr<waiter>& at);
  void give_up(std::uint64_t id);
  void leave(const admission::visitor& who);

  std::mutex mutex_;
  failure_delays delays_;
  admission admission_;
  std::unordered_map<std::uint64_t, std::pair<admission::visitor, std::weak_ptr<waiter>>> waiters_;
  std::uint64_t next_id_ = 1;
  std::size_t delayed_ = 0;
  std::map<auth_applicant, std::size_t> delayed_by_role_;
  std::map<conf::ip_address, std::size_t> delayed_by_neighbourhood_;
  bool closed_ = false;
};

}  // namespace proxy
