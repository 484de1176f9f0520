// A client's session, from its first byte to its last, as one story read top to bottom:
//
//   greet     what does it want: a session, or a cancel request
//   identify  which tenant do its hints name
//   place     where does that tenant live; a held tenant's client waits here
//   enter     connect to the place's server and log in there
//   relay     carry bytes until one side leaves, or its place changes
//   goodbye   tell the client why, where the protocol still allows it
//
// Each step takes values and gives values. What comes from outside while a step waits (a deadline, a new table, the
// lodge closing) is recorded as an ending and cancels the wait; the step returns and `run` acts on it.
//
// What it must keep: everything here runs on the worker's thread; `state_` changes in `enter_state` only; a session
// is entered in its worker exactly as long as it lives.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "protocol/error_response.hpp"
#include "protocol/handshake_fsm.hpp"
#include "proxy/counted.hpp"
#include "proxy/io.hpp"
#include "proxy/session/relay.hpp"
#include "proxy/session/server_login.hpp"
#include "proxy/transport.hpp"
#include "proxy/worker.hpp"
#include "routing/route.hpp"
#include "routing/tenant_hint.hpp"

namespace proxy {

enum class session_state {
  greeting,   ///< the client's opening is being read
  held,       ///< its tenant is held; it waits for a new table
  entering,   ///< a server is being connected to or logged in at
  relaying,   ///< client and server talk
  leaving,    ///< the client is told why, and its connection closed
  cancelling  ///< it was a cancel request, which is being passed on
};

class client_session {
 public:
  /// Takes over the descriptor. `place` is what the session counts as in its worker's load.
  client_session(worker& home, int descriptor, endpoint peer, counted place);
  ~client_session();
  client_session(const client_session&) = delete;
  client_session& operator=(const client_session&) = delete;

  /// The whole story; owns the session while it runs.
  static task<void> run(std::shared_ptr<client_session> self);

  [[nodiscard]] std::uint64_t id() const { return id_; }

  /// A few times a second: ends what has overstayed.
  void on_tick(clock::time_point now);
  /// The worker has a new table.
  void on_publish();
  void on_closing(closing how);

 private:
  struct told {  ///< what the client is told at the end, and the log
    pgwire::error_report report;
    bool tell_client = true;
  };
  using refused = std::unexpected<told>;

  task<std::expected<pgwire::startup_message, told>> greet(pgwire::handshake_fsm& opening);
  task<std::expected<routing::route, told>> place(const routing::identity& who);
  task<void> serve(std::shared_ptr<client_session> self);
  task<void> goodbye(told why);

  void enter_state(session_state next) { state_ = next; }
  void end_with(told why);
  [[nodiscard]] std::optional<told> why_leave() const;
  void cancel_waits();
  [[nodiscard]] std::string name() const;

  worker& home_;
  const std::uint64_t id_;
  const endpoint peer_;
  counted in_worker_;
  const clock::time_point began_ = clock::now();

  session_state state_ = session_state::greeting;
  transport client_;
  transport server_;
  clock::time_point deadline_ = clock::time_point::max();
  step_deadline attempt_;
  std::optional<told> ending_;
  std::optional<timer> held_;

  std::optional<routing::identity> who_;
  std::optional<routing::route> route_;
  std::optional<relay> relay_;
};

}  // namespace proxy
