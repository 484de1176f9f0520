// A door: one listening socket, TCP or Unix, whose visitors are handed to the worker with the least to do.
//
// It runs on the daemon's main loop, so that a flood of connects never delays a relayed message. When the process
// is out of descriptors the door stays shut for a moment instead of spinning; clients wait in the backlog.
#pragma once

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <expected>
#include <functional>
#include <string>

#include "conf/daemon_file.hpp"
#include "proxy/io.hpp"

namespace proxy {

class listener {
 public:
  /// Called with a connected, non-blocking descriptor that the callee now owns.
  using visitor = std::function<void(int descriptor, endpoint peer)>;

  /// Binds and listens. The error is one line that says which address and why.
  static std::expected<std::unique_ptr<listener>, std::string> open(asio::io_context& context,
                                                                   const conf::listen_settings& where,
                                                                   visitor on_visitor);
  ~listener();
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;

  /// Accepts until `close`.
  void start();
  /// No more visitors; a Unix socket's file is removed.
  void close();
  /// "127.0.0.1:6432" or "/run/pglodge/.s.PGSQL.6432", for the log.
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  using descriptor = asio::posix::basic_stream_descriptor<executor>;

  listener(asio::io_context& context, int listening, std::string name, std::string unix_path, visitor on_visitor);
  task<void> accept_loop();
  void accept_some();

  descriptor listening_;
  timer pause_;
  std::string name_;
  std::string unix_path_;
  visitor on_visitor_;
  bool out_of_descriptors_ = false;
};

}  // namespace proxy
