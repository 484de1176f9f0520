#include "proxy/standing_watch.hpp"

#include <system_error>

namespace proxy {

standing_watch::standing_op::standing_op(standing_watch& whose)
    : reactor_op(
          error_code(),
          [](reactor_op* self) {
            const standing_watch& watch = static_cast<standing_op*>(self)->owner;
            watch.call_(watch.whose_);
            return not_done;
          },
          [](void*, asio::detail::operation*, const error_code&, std::size_t) {}),
      owner(whose) {}

standing_watch::standing_watch(asio::io_context& loop, int descriptor, at_edge call, void* whose)
    : reactor_(asio::use_service<asio::detail::epoll_reactor>(loop)),
      descriptor_(descriptor),
      call_(call),
      whose_(whose) {
  reactor_.init_task();
  const int failed = reactor_.register_internal_descriptor(asio::detail::epoll_reactor::read_op, descriptor_,
                                                           registration_, &standing_);
  if (failed != 0) throw std::system_error(failed, std::generic_category(), "epoll_ctl");
}

void standing_watch::end() {
  if (descriptor_ < 0) return;
  reactor_.deregister_internal_descriptor(descriptor_, registration_);
  reactor_.cleanup_descriptor_data(registration_);
  descriptor_ = -1;
}

}  // namespace proxy
