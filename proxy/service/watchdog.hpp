// Tells the service manager that the process is alive, as long as it is: the main thread, and every worker.
#pragma once

#include "proxy/crew.hpp"
#include "proxy/io.hpp"

namespace proxy {

/// Ends at once where nobody waits for it (WatchdogSec=). A worker is alive if it has looked after its sessions within
/// that time; it does so several times a second. Once `succeeded` is true another process is asked. All must outlive
/// the call.
task<void> keep_watch(asio::io_context& main, const crew& workers, const bool& succeeded);

}  // namespace proxy
