// A descriptor that the event loop watches for as long as it lives, and a function that is called at every edge.
//
// Asio's own waits have to be asked for again each time, with a call to the kernel; what is here stands in the
// reactor's queue and is never done. It is for descriptors that tell about many others: a set of epoll's, a ring.
//
// What it must keep: all is for the loop's thread only. An edge comes once: the function must look at everything.
#pragma once

#include <boost/asio/detail/epoll_reactor.hpp>
#include <boost/asio/detail/reactor_op.hpp>
#include <boost/asio/io_context.hpp>

#include "proxy/io.hpp"

namespace proxy {

class standing_watch {
 public:
  using at_edge = void (*)(void* whose);

  /// `descriptor` must stay open until `end`, and `whose` alive. Throws std::system_error if the kernel has no room.
  standing_watch(asio::io_context& loop, int descriptor, at_edge call, void* whose);
  ~standing_watch() { end(); }
  standing_watch(const standing_watch&) = delete;
  standing_watch& operator=(const standing_watch&) = delete;

  /// From now on nothing is called. The loop must still be there.
  void end();

 private:
  struct standing_op : asio::detail::reactor_op {
    explicit standing_op(standing_watch& whose);
    standing_watch& owner;
  };

  asio::detail::epoll_reactor& reactor_;
  asio::detail::epoll_reactor::per_descriptor_data registration_{};
  standing_op standing_{*this};
  int descriptor_;
  const at_edge call_;
  void* const whose_;
};

}  // namespace proxy
