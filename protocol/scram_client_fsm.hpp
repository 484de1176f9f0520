// The client's side of a SCRAM exchange: the lodge logs in at a server (RFC 5802, 7677; PostgreSQL docs, 55.3;
// src/interfaces/libpq/fe-auth-scram.c). Sans I/O: the server's words go in, what to do comes out.
//
//   start -> awaiting_first -> [deriving ->] awaiting_final -> done
//
// The lodge knows a password, or keys: those that a client's proof gave away (scram_server_fsm) with the ServerKey of
// the same secret. With a password the caller is told to derive, which is slow and which it does elsewhere, or finds
// in a cache by salt and iterations. With keys nothing is slow; but they fit only a server that keeps the very secret
// they came from. Whether it does is the caller's business: another one refuses the proof.
//
// What must hold: the server is trusted with nothing. Its nonce continues ours, its iteration count is capped, and
// unless its signature shows that it knows the secret the login has failed, whatever it says after it.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "protocol/error.hpp"
#include "protocol/scram_keys.hpp"
#include "protocol/secret.hpp"

namespace pgwire {

class scram_client_fsm {
 public:
  struct start {  ///< SASLInitialResponse; then AuthenticationSASLContinue goes to `on_continue`
    std::string_view mechanism;
    std::string client_first;
  };
  struct derive {  ///< compute `salted_password` of the prepared password with these, then `on_derived`
    std::string salt;
    std::uint32_t iterations;
  };
  struct send {  ///< SASLResponse; then AuthenticationSASLFinal goes to `on_final`
    std::string client_final;
  };
  struct authenticated {};  ///< the server is genuine; AuthenticationOk is still to come
  struct failed {
    errc code;
  };
  using action = std::variant<start, derive, send, authenticated, failed>;

  /// `offered`: the mechanisms of AuthenticationSASL. `client_nonce`: fresh random characters, 1 to
  /// most_scram_client_nonce of them, printable, without a comma. `end_point`: over TLS the hash of the server's
  /// certificate (RFC 5929, section 4.1); nothing without TLS, without such a hash, or to go without channel binding.
  /// `keys`: nothing to log in with a password.
  scram_client_fsm(std::span<const std::string_view> offered, std::string client_nonce,
                   std::optional<std::string> end_point, std::optional<scram_keys> keys);

  /// Binds to the channel if both sides can.
  action initial();
  action on_continue(std::string_view server_first);
  action on_derived(const secret_key& salted_password);
  action on_final(std::string_view server_final);

 private:
  enum class stage : std::uint8_t {
    start,           ///< nothing was said
    awaiting_first,  ///< client-first was sent
    deriving,        ///< server-first is here, the keys are not
    awaiting_final,  ///< the proof was sent
    done,            ///< authenticated or failed
  };

  action prove();
  void enter(stage next) { stage_ = next; }
  action fail(errc code);

  bool offers_plain_;
  bool offers_plus_;
  std::string client_nonce_;
  std::optional<std::string> end_point_;
  std::optional<scram_keys> keys_;
  stage stage_ = stage::start;
  std::string binding_;  // the gs2 header and the channel's data
  std::string client_first_bare_;
  std::string server_first_;
  std::string nonce_;  // both halves
  secret_key expected_signature_;
};

}  // namespace pgwire
