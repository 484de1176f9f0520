// A door: one listening socket, TCP or Unix, whose visitors are handed to the worker with the least to do.
//
// It runs on the daemon's main loop, so that a flood of connects never delays a relayed message. When the process
// is out of descriptors the door stays shut for a moment instead of spinning; clients wait in the backlog.
#pragma once

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "conf/daemon_file.hpp"
#include "proxy/io.hpp"
#include "proxy/visitor.hpp"

namespace proxy {

class listener {
 public:
  using on_visit = std::function<void(visitor)>;

  /// Binds and listens, on each address that the name stands for ("localhost" may be two; "*" is all of them). The
  /// error is one line that says which address and why. `visit` gets each connection.
  static std::expected<std::vector<std::unique_ptr<listener>>, std::string> open(asio::io_context& context,
                                                                                 const conf::listen_settings& where,
                                                                                 const on_visit& visit);
  ~listener();
  listener(const listener&) = delete;
  listener& operator=(const listener&) = delete;

  /// How TLS is spoken with visitors from now on; null for not at all.
  void use(std::shared_ptr<const door_tls> tls) { tls_ = std::move(tls); }
  /// Whether this is a door of that entry.
  [[nodiscard]] bool opened_by(const conf::listen_settings& entry) const;

  /// Accepts until `close`.
  void start();
  /// No more visitors; a Unix socket's file is removed.
  void close();
  /// "127.0.0.1:6432" or "/run/pglodge/.s.PGSQL.6432", for the log.
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  using descriptor = asio::posix::basic_stream_descriptor<executor>;

  listener(asio::io_context& context, int listening, const conf::listen_settings& where, on_visit visit);
  task<void> accept_loop();
  bool accept_some();
  void complain(int error);

  descriptor listening_;
  timer pause_;
  std::string name_;
  std::string unix_path_;  ///< the socket's file, ours to remove; empty for TCP
  conf::listen_settings entry_;
  std::shared_ptr<const door_tls> tls_;
  on_visit visit_;
  clock::time_point last_complaint_{};
};

}  // namespace proxy
