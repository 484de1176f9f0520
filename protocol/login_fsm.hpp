// Logging in at a server on behalf of a client, up to its first ReadyForQuery. Sans I/O: messages go in, what
// to do with each comes out.
//
// Two ways. `passthrough`: the server's own authentication exchange goes to the client and its answers come
// back; the lodge keeps no password. `trust`: the lodge has let the client in; the server must not ask for
// anything.
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

#include "protocol/cancel_key.hpp"
#include "protocol/error.hpp"

namespace pgwire {

/// Bound on the length field of any message before the first ReadyForQuery.
inline constexpr std::uint32_t most_login_message = 64 * 1024;

enum class login_mode : std::uint8_t { trust, passthrough };

class login_fsm {
 public:
  explicit login_fsm(login_mode mode) : mode_(mode) {}

  struct forward_to_client {};  ///< pass the message on, at once
  struct ask_client {};         ///< pass it on, then read one message of the client for `on_client_message`
  struct keep {};               ///< AuthenticationOk, ParameterStatus, notices: for the client, once the login is done
  struct key {                  ///< BackendKeyData: not for the client
    cancel_key value;
  };
  struct ready {};         ///< ReadyForQuery: the login is done; goes to the client after the key
  struct server_error {    ///< the server's ErrorResponse; goes to the client unless another host is tried
    std::string sqlstate;  ///< may be empty
    std::string message;
  };
  struct wants_secret {  ///< trust only: the server asks for a password, or something else
    std::string method;  ///< for people: "scram-sha-256"
  };
  struct failed {
    errc code;
  };
  using action = std::variant<forward_to_client, ask_client, keep, key, ready, server_error, wants_secret, failed>;

  /// A message of the server. Type and body.
  action on_server_message(char type, std::span<const std::byte> body);

  /// A message of the client, when it was asked. Nothing: pass it on to the server.
  std::optional<errc> on_client_message(char type, std::span<const std::byte> body);

  /// Whether the client has seen anything of this server: then no other host can take its place.
  [[nodiscard]] bool client_involved() const { return client_involved_; }
  /// The server reported in_hot_standby=on: it is no primary.
  [[nodiscard]] bool standby() const { return standby_; }

 private:
  enum class stage : std::uint8_t { authenticating, starting, done };

  action on_authentication(std::span<const std::byte> body);
  action on_start(char type, std::span<const std::byte> body);
  action on_error(std::span<const std::byte> body);

  login_mode mode_;
  stage stage_ = stage::authenticating;
  bool client_asked_ = false;
  bool client_involved_ = false;
  bool standby_ = false;
};

}  // namespace pgwire
