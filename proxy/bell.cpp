#include "proxy/bell.hpp"

#include <boost/asio/post.hpp>
#include <vector>

namespace proxy {

// A service of the event loop: it knows at which bells somebody waits. With the loop the waiting ends: the handlers own
// the coroutines, and those the bells.
class bell::belfry final : public asio::execution_context::service {
 public:
  static asio::execution_context::id id;
  using key_type = belfry;

  explicit belfry(asio::execution_context& of) : service(of), loop(static_cast<asio::io_context&>(of)) {}

  asio::io_context& loop;
  boost::intrusive::list<bell, boost::intrusive::constant_time_size<false>> waited_at;

 private:
  void shutdown() override {
    std::vector<handler> ended;
    for (bell& one : waited_at) ended.push_back(std::exchange(one.waiting_, nullptr));
  }
};

asio::execution_context::id bell::belfry::id;

bell::bell(asio::io_context& loop) : of_(asio::use_service<belfry>(loop)) {}

void bell::sit(handler waiting) {
  waiting_ = std::move(waiting);
  if (!is_linked()) of_.waited_at.push_back(*this);
}

void bell::ring() {
  if (!waiting_) return;
  unlink();
  asio::post(of_.loop, std::exchange(waiting_, nullptr));
}

}  // namespace proxy
