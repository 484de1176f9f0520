#include "proxy/pool/pool_seat.hpp"

#include <boost/asio/post.hpp>

namespace proxy {

void pool_seat::call() const {
  const auto ring = [rings = rings_] {
    if (const auto there = rings.lock()) there->ring();
  };
  // A connection mostly goes to a neighbour on the thread it comes back on.
  if (home_.running_in_this_thread()) return ring();
  asio::post(home_, ring);
}

}  // namespace proxy
