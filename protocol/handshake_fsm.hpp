// What happens before a client's StartupMessage is there: encryption requests, a cancel request, nonsense.
//
// Sans I/O. The caller reads exactly the bytes it is told to, so that nothing beyond a packet is ever taken
// off the socket before it is answered: bytes that an attacker put behind an SSLRequest must not be read as
// if they came after the answer (CVE-2021-23214, CVE-2021-23222). Those that are there already when the
// answer is due are reported by `early_bytes`.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <variant>

#include "protocol/error.hpp"
#include "protocol/startup.hpp"

namespace pgwire {

class handshake_fsm {
 public:
  /// Read exactly this many further bytes and give them to `on_bytes`.
  struct read_exactly {
    std::size_t bytes;
  };
  /// Check that no byte is waiting (else call `on_early_bytes`), send this one byte, then call `on_answered`.
  struct answer {
    char byte;
  };
  struct start {
    startup_message message;
  };
  struct cancel {
    cancel_key key;
  };
  struct failed {
    errc code;
  };
  using action = std::variant<read_exactly, answer, start, cancel, failed>;

  /// The first thing to do.
  action begin();
  /// The bytes asked for. Fewer are asked for again; more than asked for are the caller's fault.
  action on_bytes(std::span<const std::byte> bytes);
  action on_early_bytes();
  action on_answered();

 private:
  std::string packet_;
  bool ssl_seen_ = false;
  bool gssenc_seen_ = false;
};

}  // namespace pgwire
