// What the service manager that started the process is told, by sd_notify(3): when it serves, when it reloads and how
// that went, that it is alive, that it leaves. Without one nothing happens.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "proxy/listening_sockets.hpp"

namespace proxy {

class service_manager {
 public:
  /// The sockets that it passed, once: later callers, and processes started by this one, get none. Error: for the log.
  static std::expected<inherited_sockets, std::string> passed_sockets();

  /// How often `alive` is awaited at least (WatchdogSec=); nothing: not at all.
  [[nodiscard]] static std::optional<std::chrono::microseconds> watchdog_time();

  // `status` is a line for people, shown by systemctl status.

  /// It serves; after `reloading`: with whatever configuration is in force.
  static void ready(const std::string& status);
  static void reloading();
  static void leaving(const std::string& status);
  static void alive();
  /// This process remains for its sessions, and that one is the service from now on.
  static void succeeded_by(pid_t successor);
};

}  // namespace proxy
