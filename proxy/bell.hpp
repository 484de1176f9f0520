// Where one coroutine waits until it is told to go on. No deadline: who has one looks at the clock when the worker's
// sweep rings, since arming a timer for each wait, in a heap of them, costs more than all else of the wait.
//
// A ring is not remembered: it does nothing to a wait that has not begun. So whoever waits looks first whether it has
// to, and in a loop.
//
// What must hold: all is for the loop's thread only.
#pragma once

#include <boost/asio/async_result.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/intrusive/list.hpp>
#include <functional>
#include <utility>

#include "proxy/io.hpp"

namespace proxy {

class bell : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  explicit bell(asio::io_context& loop);
  bell(const bell&) = delete;
  bell& operator=(const bell&) = delete;

  /// One at a time. Completes with void().
  auto wait() {
    return asio::async_initiate<const asio::deferred_t&, void()>([this](auto woken) { sit(std::move(woken)); },
                                                                 asio::deferred);
  }
  /// Whoever waits goes on, but not in here.
  void ring();

 private:
  using handler = std::move_only_function<void()>;
  class belfry;
  void sit(handler waiting);

  belfry& of_;
  handler waiting_;
};

}  // namespace proxy
