#include "proxy/service/watchdog.hpp"

#include <spdlog/spdlog.h>

#include "proxy/service/service_manager.hpp"

namespace proxy {

task<void> keep_watch(asio::io_context& main, const crew& workers, const bool& succeeded) {
  const auto time = service_manager::watchdog_time();
  if (!time) co_return;
  timer pause(main);
  for (;;) {
    pause.expires_after(*time / 3);
    auto [error] = co_await pause.async_wait(no_throw);
    if (error || succeeded) co_return;
    if (clock::now() - workers.last_moved() < *time) {
      service_manager::alive();
    } else {
      spdlog::critical("a worker has not moved for as long as the watchdog waits");
    }
  }
}

}  // namespace proxy
