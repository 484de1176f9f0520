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
#include "proxy/listening_sockets.hpp"
#include "proxy/visitor.hpp"

namespace proxy {

class listener {
 public:
  using on_visit = std::function<void(visitor)>;

  using list = std::vector<std::unique_ptr<listener>>;

  /// Listens as the entry says, on what was inherited for it or else anew (see listen_tcp). `visit` gets each
  /// connection. Error: for the log.
  static std::expected<list, std::string> open(asio::io_context& context, const conf::listen_settings& where,
                                               inherited_sockets& inherited, const on_visit& visit);
  /// On a socket that no entry names.
  listener(asio::io_context& context, listening_socket on, const conf::listen_settings& where, on_visit visit);
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
  /// No more visitors for this process: another one has the socket.
  void leave_to_successor();
  /// To be passed on; stays the listener's.
  [[nodiscard]] int descriptor() { return listening_.native_handle(); }
  [[nodiscard]] bool has_file() const { return !file_.empty(); }
  /// "127.0.0.1:6432" or "/run/pglodge/.s.PGSQL.6432", for the log.
  [[nodiscard]] const std::string& name() const { return name_; }

 private:
  using stream = asio::posix::basic_stream_descriptor<executor>;

  task<void> accept_loop();
  bool accept_some();
  void complain(int error);

  stream listening_;
  timer pause_;
  std::string name_;
  std::string file_;  ///< the Unix socket's, ours to remove; empty: none
  conf::listen_settings entry_;
  std::shared_ptr<const door_tls> tls_;
  on_visit visit_;
  clock::time_point last_complaint_{};
};

}  // namespace proxy
