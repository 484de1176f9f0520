// Logging in at a server on behalf of a client, up to its first ReadyForQuery. Sans I/O: messages go in, what
// to do with each comes out.
//
// Two ways. By passthrough the server's own authentication exchange goes to the client and its answers come back; the
// lodge keeps no password. With credentials the lodge logs in itself, and the client sees nothing of it; without any
// (under `trust`) the server must not ask.
//
// The client speaks its own protocol version with us while the server is spoken to in 3.0. That shows only in
// BackendKeyData, which therefore never goes to the client: the caller sends a key of its own making.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "protocol/backend_messages.hpp"
#include "protocol/cancel_key.hpp"
#include "protocol/error.hpp"
#include "protocol/password_secret.hpp"
#include "protocol/scram_client_fsm.hpp"
#include "protocol/secret.hpp"

namespace pgwire {

/// Bound on the length field of any message before the first ReadyForQuery.
inline constexpr std::uint32_t most_login_message = 64 * 1024;

/// What logs in where the password is not known. Each serves one method, at servers that keep the secret it came from;
/// an md5 secret holds the role's name, so it serves that role only.
using login_keys = std::variant<scram_keys, md5_secret>;

/// What the lodge logs in with. A password serves every method. Neither: the server must let the role in unasked.
struct server_credentials {
  std::string role;
  std::optional<secret_string> password;
  std::optional<login_keys> keys;
};

class login_fsm {
 public:
  /// By passthrough.
  login_fsm() = default;
  /// With credentials. `nonce`: fresh random characters for a SCRAM exchange, as scram_client_fsm takes them.
  /// `end_point`: over TLS the hash of the server's certificate (RFC 5929, section 4.1), else nothing.
  login_fsm(server_credentials with, std::string nonce, std::optional<std::string> end_point);

  struct forward_to_client {};  ///< pass the message on, at once
  struct ask_client {           ///< pass it on, then read one message of the client for `on_client_message`
    std::string instead;        ///< if not empty: what goes to the client in the message's place
  };
  struct reply {  ///< send this message to the server
    secret_string message;
  };
  struct derive {  ///< compute `salted_password` of the prepared password with these, then `on_derived`; slow
    std::string salt;
    std::uint32_t iterations;
  };
  struct proceed {};  ///< nothing to do but to read on
  struct keep {};     ///< AuthenticationOk, ParameterStatus, notices: for the client, once the login is done
  struct key {        ///< BackendKeyData: not for the client
    cancel_key value;
  };
  struct ready {};         ///< ReadyForQuery: the login is done; goes to the client after the key
  struct server_error {    ///< the server's ErrorResponse; goes to the client unless another host is tried
    std::string sqlstate;  ///< may be empty
    std::string message;
  };
  struct wants_secret {  ///< with credentials only: the server asks for what they do not have
    std::string method;  ///< for people: "scram-sha-256"
  };
  struct failed {
    errc code;
  };
  using action = std::variant<forward_to_client, ask_client, reply, derive, proceed, keep, key, ready, server_error,
                              wants_secret, failed>;

  /// A message of the server. Type and body.
  action on_server_message(char type, std::span<const std::byte> body);

  /// A message of the client, when it was asked. Nothing: pass it on to the server.
  std::optional<errc> on_client_message(char type, std::span<const std::byte> body);

  /// What `derive` asked for: reply or failed.
  action on_derived(const secret_key& salted_password);

  /// Whether the client has seen anything of this server: then no other host can take its place.
  [[nodiscard]] bool client_involved() const { return client_involved_; }
  /// The server reported in_hot_standby=on: it is no primary.
  [[nodiscard]] bool standby() const { return standby_; }
  /// Channel binding was on offer, and was not passed on: the client's channel ends here, so it could only fail.
  [[nodiscard]] bool plus_withheld() const { return plus_withheld_; }

 private:
  enum class stage : std::uint8_t { authenticating, starting, done };

  action on_authentication(std::span<const std::byte> body);
  action pass_on(const backend::authentication& asked);
  action answer(const backend::authentication& asked);
  action answer_md5(byte_view salt);
  action begin_scram(const backend::authentication& asked);
  action follow(const scram_client_fsm::action& next);
  action on_start(char type, std::span<const std::byte> body);
  action on_error(std::span<const std::byte> body);

  std::optional<server_credentials> credentials_;  ///< nothing: passthrough
  std::string nonce_;
  std::optional<std::string> end_point_;
  std::optional<scram_client_fsm> scram_;
  bool scram_done_ = false;
  stage stage_ = stage::authenticating;
  bool client_asked_ = false;
  bool client_involved_ = false;
  bool standby_ = false;
  bool plus_withheld_ = false;
};

}  // namespace pgwire
