// Carries out one session's commands: gathers what a SHOW needs and makes its table, or has the house do what is asked
// and waits until it is done.
//
// Some commands wait for others (PAUSE, KILL, WAIT_CLOSE: until connections are closed). Such a wait looks again now
// and then, and ends when the client cancels it; what was commanded stands.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "proxy/auth/wait_point.hpp"
#include "proxy/console/conversation.hpp"
#include "proxy/console/house.hpp"
#include "proxy/console/shows.hpp"
#include "proxy/io.hpp"

namespace proxy {
class worker;
}

namespace proxy::console {

class clerk {
 public:
  /// `by`: who commands, for the log. `wants_no_more`: whether the client has cancelled, or the session is to end.
  clerk(worker& home, house& of, std::string by, std::function<bool()> wants_no_more);

  /// In the worker's thread, one at a time.
  task<answer> carry_out(const command& what);
  /// Ends a wait; to be called again while the session is to end.
  void cancel();

 private:
  task<answer> show(const command& what);
  task<answer> made_apart(std::function<std::expected<table, pgwire::error_report>()> make);
  task<answer> reload();
  task<answer> lay_over(const command& what);
  task<answer> lay(std::string what, std::string subject, house::override_change change);
  task<answer> lay_log_level(const command& what, std::string level);
  task<answer> pause(const command& what);
  task<answer> kill(const command& what);
  task<answer> kill_sessions(kill_target whom);
  task<std::optional<answer>> wait_until_closed(std::string place);
  task<std::optional<answer>> wait_until_renewed(std::string server);
  task<answer> set_log_level(const command& what);
  task<answer> reconnect(const command& what);

  [[nodiscard]] std::optional<answer> unknown_place(const std::string& place) const;
  [[nodiscard]] pool_list pools() const;
  task<client_list> clients();
  task<status_facts> status();

  // Asks the house, and waits for what it says; nothing if the wait was ended.
  template <class T>
  task<std::optional<T>> hear(std::function<void(reply<T>)> ask) {
    auto point = std::make_shared<delivery<T>>(executor_);
    waits_ = point;
    reply<T> bring = [to = std::weak_ptr(point)](T value) { delivery<T>::bring(to, std::move(value)); };
    ask(std::move(bring));
    auto came = co_await point->wait();
    waits_.reset();
    co_return came;
  }
  task<bool> pause_briefly();

  worker& home_;
  house& house_;
  const executor executor_;
  const std::string by_;
  const std::function<bool()> wants_no_more_;
  std::shared_ptr<wait_point> waits_;
};

}  // namespace proxy::console
