// An upgrade as the daemon that is replaced sees it: start the successor, give it what is needed, and wait until it
// serves. Cancel requests that are meant for this process's sessions come by a door of its own from then on.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/listener.hpp"
#include "proxy/service/hand_over.hpp"

namespace proxy {

/// Main thread only.
class succession {
 public:
  /// `command`: see command_to_start. `visit` gets those who come with a cancel request.
  succession(asio::io_context& main, std::vector<std::string> command, listener::on_visit visit)
      : main_(main), command_(std::move(command)), visit_(std::move(visit)) {}

  [[nodiscard]] const std::string& program() const { return command_.front(); }
  /// One is under way, or was made.
  [[nodiscard]] bool begun() const { return begun_; }
  /// One that is under way fails now, and the process that was to succeed ends.
  void give_up();

  /// `sockets` stay the caller's; of `will`, the cancel doors are those of older processes. After an error, which is
  /// for people, all is as before, and another may be begun. `made` is called, with the process id, before the
  /// successor may speak to the service manager.
  task<std::expected<void, std::string>> run(testament will, std::vector<int> sockets, std::function<void(pid_t)> made);

 private:
  bool open_cancel_door();

  asio::io_context& main_;
  const std::vector<std::string> command_;
  const listener::on_visit visit_;
  std::unique_ptr<listener> cancel_door_;
  successor* awaited_ = nullptr;
  bool begun_ = false;
};

}  // namespace proxy
