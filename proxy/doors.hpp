// All doors of the daemon: one listener for each address that an entry of `listen` stands for.
//
// Which there are is settled when they open; a reload only changes what certificates they show. A process that is being
// replaced leaves them open, and to the other.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/listener.hpp"
#include "proxy/service/testament.hpp"
#include "proxy/snapshot.hpp"

namespace proxy {

/// Main thread only.
class doors {
 public:
  /// Nothing has gone wrong, or what. Nobody is let in before `start`.
  std::optional<std::string> open(asio::io_context& main, const conf::daemon_settings& settings,
                                  inherited_sockets& inherited, const listener::on_visit& visit);
  /// Gives each its certificates, and warns if others are wanted than are there.
  void fit(const snapshot& now);
  void start();
  void close();
  void leave_to_successor();

  [[nodiscard]] bool empty() const { return all_.empty(); }
  /// "127.0.0.1:6432, /run/pglodge/.s.PGSQL.6432"
  [[nodiscard]] std::string names() const;
  /// Their sockets, which stay theirs; `will` learns which of them have a file.
  std::vector<int> descriptors(testament& will) const;

 private:
  std::vector<std::unique_ptr<listener>> all_;
};

}  // namespace proxy
