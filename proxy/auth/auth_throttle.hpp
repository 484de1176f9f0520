// Slows authentications down: each waits for the delay that its neighbourhood has earned (`failure_delays`), then for a
// place among those that are under way (`admission`). Both are one for the whole daemon, under one short mutex.
//
// A place is a handle; where it ends, the next of the queue gets it, is told through its wait point, and holds it from
// that moment on, whether it still waits or not.
//
// What must hold: the throttle outlives its places and its waiters. After `close`, nobody is told anything any more; to
// be called when the event loops' threads have ended, before what waits in them is destroyed.
#pragma once

#include <cstdint>
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
  /// it. `who` is the client's address; nothing for Unix sockets, which have no delay.
  task<turn> enter(executor home, std::optional<conf::ip_address> who, std::weak_ptr<wait_point>& waits_at);

  /// A client of this address was wrong.
  void failed(const std::optional<conf::ip_address>& who, clock::time_point now);

  void close();

 private:
  using waiter = delivery<place>;
  struct arrival {
    admission::answer answer = admission::answer::refuse;
    admission::visitor who;
  };
  [[nodiscard]] std::optional<clock::duration> begin_delay(const std::optional<conf::ip_address>& who);
  void end_delay();
  arrival arrive(const std::optional<conf::ip_address>& who, const std::shared_ptr<waiter>& at);
  void give_up(std::uint64_t id);
  void leave(const admission::visitor& who);

  std::mutex mutex_;
  failure_delays delays_;
  admission admission_;
  std::unordered_map<std::uint64_t, std::pair<admission::visitor, std::weak_ptr<waiter>>> waiters_;
  std::uint64_t next_id_ = 1;
  std::size_t delayed_ = 0;
  bool closed_ = false;
};

}  // namespace proxy
