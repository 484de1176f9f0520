// TLS at both ends: certificates and rules read into contexts, and the one stream of each connection.
//
// OpenSSL works on the socket itself (SSL_set_fd), not through memory: nothing is copied, nothing is read ahead of what
// is asked for, and an idle connection keeps no buffers (SSL_MODE_RELEASE_BUFFERS). asio::ssl::stream holds 86 KB a
// connection where this holds 16. In the ring of an event loop its bytes come and go by that (tls_over_ring).
//
// A context is built whole when a configuration is loaded and never changed; connections keep the one they began with,
// so that new certificates touch no running session.
#pragma once

#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "conf/daemon_file.hpp"
#include "routing/route.hpp"

struct ssl_st;
struct ssl_ctx_st;

namespace proxy {

struct ssl_free {
  void operator()(ssl_st* stream) const;
};
using tls_stream = std::unique_ptr<ssl_st, ssl_free>;

/// How a door speaks TLS. Immutable; safe to use from any thread.
class door_tls {
 public:
  /// Reads certificates, keys and the clients' CA. The error is one line, with the file's name.
  static std::expected<std::shared_ptr<const door_tls>, std::string> load(const conf::listen_settings& door);

  /// A stream that will accept on this descriptor. Throws std::bad_alloc.
  [[nodiscard]] tls_stream accept_on(int descriptor) const;

 private:
  struct contexts;
  explicit door_tls(std::shared_ptr<const contexts> all) : all_(std::move(all)) {}
  std::shared_ptr<const contexts> all_;
};

/// How a server is reached by TLS. Immutable; safe to use from any thread.
class server_tls {
 public:
  static std::expected<std::shared_ptr<const server_tls>, std::string> load(const routing::server& server);

  /// A stream that will connect on this descriptor to a host, whose name is checked under verify-full and sent as SNI
  /// unless it is an address.
  [[nodiscard]] tls_stream connect_on(int descriptor, const std::string& host) const;

 private:
  explicit server_tls(std::shared_ptr<ssl_ctx_st> context, routing::tls_mode mode);
  std::shared_ptr<ssl_ctx_st> context_;
  routing::tls_mode mode_;
};

/// The names in a client's verified certificate; a handshake by one that has a NUL in a name fails. Of several common
/// names the first.
struct certificate_names {
  std::string common_name;
  std::vector<std::string> alternative_names;  ///< DNS names and e-mail addresses
};

/// What a stream's handshake came to. To be asked after it is done.
[[nodiscard]] std::optional<certificate_names> client_certificate(const tls_stream& stream);
[[nodiscard]] std::string server_name_indication(const tls_stream& stream);
/// Whether both agreed on ALPN "postgresql".
[[nodiscard]] bool speaks_postgresql(const tls_stream& stream);
/// tls-server-end-point (RFC 5929, section 4.1) of this stream's server certificate, from either end; empty if its
/// signature has no hash to go by.
[[nodiscard]] std::string server_end_point(const tls_stream& stream);
/// The library's words on what went wrong last in this thread, and on the certificate if that was it.
/// "TLSv1.3/TLS_AES_256_GCM_SHA384"
[[nodiscard]] std::string describe(const tls_stream& stream);
[[nodiscard]] std::string tls_failure(const tls_stream& stream);

}  // namespace proxy
