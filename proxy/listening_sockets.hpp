// Sockets that listen: bound here, or already listening when the process starts.
//
// A service manager can keep them through a restart (systemd's socket activation, sd_listen_fds(3)), and a process that
// is being replaced hands its own on. Either way no client is refused meanwhile: it waits in the backlog. Who is to
// listen at some address therefore asks the inherited ones first.
#pragma once

#include <cstdint>
#include <expected>
#include <filesystem>
#include <string>
#include <vector>

#include "proxy/io.hpp"
#include "proxy/owned_descriptor.hpp"

namespace proxy {

struct listening_socket {
  owned_descriptor descriptor;  ///< non-blocking, closed on exec
  std::string name;             ///< "127.0.0.1:6432", "[::1]:6432" or a Unix socket's path
  std::string file;             ///< the Unix socket's, to be removed when it closes for good; empty: none, or not ours
};

/// What listened before. Each is taken once.
class inherited_sockets {
 public:
  inherited_sockets() = default;

  /// Of a descriptor that was passed to this process; `file_is_ours`: see listening_socket. The error says what it is
  /// instead of a stream socket that listens.
  std::expected<void, std::string> add(owned_descriptor passed, bool file_is_ours);

  /// The one bound there, if any.
  std::vector<listening_socket> take(const std::string& name);
  /// Those bound to every address of the machine at that port.
  std::vector<listening_socket> take_wildcards(std::uint16_t port);
  /// Of those that nobody took.
  [[nodiscard]] std::vector<std::string> names() const;

 private:
  std::vector<listening_socket> left_;
};

/// On each address that the name stands for ("localhost" may be two; "*" is all of them). Of inherited sockets those
/// that fit are all; "*" and the like take what listens on all addresses, be it one socket or one for each family. The
/// error is one line that says which address and why.
std::expected<std::vector<listening_socket>, std::string> listen_tcp(inherited_sockets& inherited,
                                                                     const std::string& host, std::uint16_t port);

/// A socket file that nobody answers on is replaced. Whoever can reach it may connect. Error: likewise.
std::expected<listening_socket, std::string> listen_unix(inherited_sockets& inherited,
                                                         const std::filesystem::path& path);

/// In Linux' abstract namespace (unix(7)), under that name, where no file is needed.
std::expected<listening_socket, std::string> listen_abstract(const std::string& name);
/// The address of such a socket, to connect to.
endpoint abstract_address(const std::string& name);

}  // namespace proxy
