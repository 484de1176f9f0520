// What happens before a client's StartupMessage is there: encryption requests, a cancel request, nonsense.
//
// Sans I/O. The caller reads exactly the bytes it is told to, so that nothing beyond a packet is ever taken off the
// socket before it is answered: bytes that an attacker put behind an SSLRequest must not be read as if they came after
// the answer (CVE-2021-23214, CVE-2021-23222). Those that are there already when the answer is due are reported by
// `early_bytes`. For the same reason the first byte is looked at where it stands: a TLS ClientHello belongs to TLS.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <variant>

#include "protocol/error.hpp"
#include "protocol/startup.hpp"

namespace pgwire {

/// What of TLS a client may have.
enum class tls_offer : std::uint8_t { none, available };

class handshake_fsm {
 public:
  explicit handshake_fsm(tls_offer offer) : offer_(offer) {}

  /// Wait for a byte, leave it on the socket, and give it to `on_first_byte`.
  struct look {};
  /// Read exactly this many further bytes and give them to `on_bytes`.
  struct read_exactly {
    std::size_t bytes;
  };
  /// Check that no byte is waiting (else call `on_early_bytes`), send this one byte, then call `on_answered`.
  struct answer {
    char byte;
  };
  /// Shake hands by TLS, then call `on_tls`.
  struct start_tls {};
  struct start {
    startup_message message;
  };
  struct cancel {
    cancel_key key;
  };
  struct failed {
    errc code;
  };
  using action = std::variant<look, read_exactly, answer, start_tls, start, cancel, failed>;

  /// The first thing to do.
  action begin() const { return look{}; }
  action on_first_byte(std::byte first);
  /// The bytes asked for. Fewer are asked for again; more than asked for are the caller's fault.
  action on_bytes(std::span<const std::byte> bytes);
  action on_early_bytes() const { return failed{errc::early_bytes}; }
  action on_answered() const;
  /// Whether ALPN chose "postgresql", which a client that begins with TLS must ask for (PostgreSQL docs, 55.2.11).
  action on_tls(bool alpn_chosen);

 private:
  enum class encryption : std::uint8_t {
    none,      ///< nothing was agreed
    agreed,    ///< 'S' is the answer to the client's SSLRequest
    direct,    ///< the client began with TLS
    complete,  ///< everything that follows is encrypted
  };

  action read_packet() const;

  tls_offer offer_;
  encryption encryption_ = encryption::none;
  std::string packet_;
  bool ssl_seen_ = false;
  bool gssenc_seen_ = false;
};

}  // namespace pgwire
