// The server's side of a SCRAM exchange: the lodge checks that a client knows a role's password (RFC 5802, 7677;
// PostgreSQL docs, 55.3; src/backend/libpq/auth-scram.c). Sans I/O: the client's words go in, what to do comes out.
//
//   start -> [awaiting_first ->] awaiting_final -> done
//
// What must hold: one exchange, one answer. What comes out of order, or after the end, fails; so do all of a failed
// exchange's further steps. The role is fixed before the exchange begins and appears nowhere in it (CVE-2026-107350).
// A mock secret takes every step that a real one takes, and fails at the same place as a wrong password.
//
// On success the client's key comes out: the lodge logs in with it at a server that keeps the same secret. It belongs
// to this client's session and to no other.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocol/error.hpp"
#include "protocol/password_secret.hpp"
#include "protocol/secret.hpp"

namespace pgwire {

class scram_server_fsm {
 public:
  struct send_continue {  ///< AuthenticationSASLContinue; then the client's next message goes to `on_response`
    std::string text;
  };
  struct accepted {  ///< AuthenticationSASLFinal, then AuthenticationOk
    std::string server_final;
    secret_key client_key;
  };
  struct failed {  ///< an ErrorResponse and the end; wrong_password also for a mock secret
    errc code;
  };
  using action = std::variant<send_continue, accepted, failed>;

  /// `server_nonce`: fresh random characters, 1 to most_scram_client_nonce of them, printable, without a comma.
  /// `end_point`: over TLS the hash of the lodge's own certificate that RFC 5929, section 4.1, prescribes; nothing
  /// without TLS, or where the certificate's signature has no such hash. With it channel binding is on offer.
  scram_server_fsm(scram_secret secret, std::string server_nonce, std::optional<std::string> end_point);

  /// For AuthenticationSASL, in the order of preference.
  [[nodiscard]] std::vector<std::string_view> mechanisms() const;

  /// SASLInitialResponse. A client that sends no data with it is asked for them.
  action on_initial(std::string_view mechanism, std::optional<std::string_view> data);
  /// SASLResponse.
  action on_response(std::string_view data);

 private:
  enum class stage : std::uint8_t {
    start,           ///< nothing was said
    awaiting_first,  ///< the mechanism is chosen, client-first was left out
    awaiting_final,  ///< server-first was sent
    done,            ///< accepted or failed
  };

  action on_client_first(std::string_view text);
  action on_client_final(std::string_view text);
  void enter(stage next) { stage_ = next; }
  action fail(errc code);

  scram_secret secret_;
  std::string server_nonce_;
  std::optional<std::string> end_point_;
  stage stage_ = stage::start;
  bool plus_ = false;              // the client chose SCRAM-SHA-256-PLUS
  std::string nonce_;              // both halves
  std::string binding_base64_;     // what c= must be
  std::string client_first_bare_;  // these two are signed
  std::string server_first_;
};

}  // namespace pgwire
