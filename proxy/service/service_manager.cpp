#include "proxy/service/service_manager.hpp"

#include <systemd/sd-daemon.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "proxy/error_text.hpp"

namespace proxy {
namespace {

// One line: what follows a line feed would be another assignment.
std::string in_one_line(std::string text) {
  std::ranges::replace_if(text, [](char one) { return static_cast<unsigned char>(one) < ' '; }, ' ');
  return text;
}

void tell(const std::string& state) { ::sd_notify(0, state.c_str()); }

}  // namespace

std::expected<inherited_sockets, std::string> service_manager::passed_sockets() {
  const int count = ::sd_listen_fds(1);
  if (count < 0) return std::unexpected("the sockets of the service manager: " + error_text(-count));
  inherited_sockets all;
  for (int i = 0; i < count; ++i) {
    auto added = all.add(owned_descriptor(SD_LISTEN_FDS_START + i), false);
    if (!added) return std::unexpected(std::move(added.error()));
  }
  return all;
}

std::optional<std::chrono::microseconds> service_manager::watchdog_time() {
  std::uint64_t time = 0;
  if (::sd_watchdog_enabled(0, &time) <= 0) return std::nullopt;
  return std::chrono::microseconds(time);
}

void service_manager::ready(const std::string& status) { tell("READY=1\nSTATUS=" + in_one_line(status)); }

// The time tells which of several requests is being answered (sd_notify(3), Type=notify-reload).
void service_manager::reloading() {
  std::timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto time = std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  const auto stamp = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
  tell("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(stamp));
}

void service_manager::leaving(const std::string& status) { tell("STOPPING=1\nSTATUS=" + in_one_line(status)); }

void service_manager::alive() { tell("WATCHDOG=1"); }

// The watchdog's time begins anew, since the new process has a pace of its own.
void service_manager::succeeded_by(pid_t successor) {
  tell("MAINPID=" + std::to_string(successor) + "\nREADY=1\nWATCHDOG=1");
}

}  // namespace proxy
