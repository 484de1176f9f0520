// A session on the virtual database pglodge, from its greeting to its end: the driver around `conversation` and
// `clerk`.
//
// Answers are written before more is made of them: a client that does not read waits with one buffer full, and nobody
// else does. The session ends as others do: told to leave when idle, or at once; and when the settings name its user no
// more.
//
// What must hold: everything on the worker's thread; what it refers to outlives `run`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "proxy/console/clerk.hpp"
#include "proxy/console/conversation.hpp"
#include "proxy/console/privilege.hpp"
#include "proxy/session/cancel_registry.hpp"
#include "proxy/session/ending.hpp"
#include "proxy/session/message_reader.hpp"
#include "proxy/transport.hpp"

namespace proxy::console {

class console_session {
 public:
  struct request {
    std::uint64_t id = 0;
    std::string user;
    std::string name;  ///< of the session, for the log
    bool long_cancel_key = false;
  };
  console_session(worker& home, transport& client, message_reader& from_client, request what);

  task<ending> run();

  void leave_when_idle(ending why);
  void leave_now(ending why);
  void on_tick(clock::time_point now);
  /// New settings are in force.
  void on_publish();
  void cancel_waits();
  /// Whether a message could be put into the client's stream now.
  [[nodiscard]] bool client_stream_whole() const { return !cut_; }

 private:
  task<bool> greet();
  task<ending> converse();
  task<void> carry_out();
  [[nodiscard]] std::optional<privilege> may() const;
  [[nodiscard]] ending barred() const;
  task<bool> write(std::string& out);
  task<bool> read();
  task<void> yield();

  worker& home_;
  transport& client_;
  message_reader& from_client_;
  const request what_;
  conversation talk_;
  clerk clerk_;
  cancel_registry::handle cancel_;
  std::string early_;                               ///< what the client sent before its greeting
  bool busy_ = false;                               ///< with a command: nobody reads the client
  bool reading_ = false;                            ///< waits for it to say something
  std::optional<clock::time_point> writing_since_;  ///< it has not taken a slice yet
  bool cut_ = false;                                ///< a write was given up in the middle
  std::optional<ending> end_, when_idle_;
};

}  // namespace proxy::console
