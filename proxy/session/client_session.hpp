// A client's session, from its first byte to its last, as one story read top to bottom:
//
//   greet     what does it want: a session, or a cancel request
//   identify  which tenant do its hints name
//   authenticate  is it who it says; not by passthrough, where the server finds out
//   (who asks for the database pglodge goes to the console from here: see console_session)
//   place     where does that tenant live; a held tenant's client waits here
//   enter     connect to the place's server and log in there
//   relay     carry bytes until one side leaves, or its place changes
//             (a session that shares connections does neither: see pooled_session)
//   goodbye   tell the client why, where the protocol still allows it
//
// Each step takes values and gives values. What comes from outside while a step waits (a deadline, a new table, the
// lodge closing) is recorded as an ending and cancels the wait; the step returns and `run` acts on it.
//
// What it must keep: everything here runs on the worker's thread; a session is entered in its worker exactly as
// long as it lives.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>

#include "proxy/auth/client_auth.hpp"
#include "proxy/console/console_session.hpp"
#include "proxy/counted.hpp"
#include "proxy/io.hpp"
#include "proxy/session/cancel_registry.hpp"
#include "proxy/session/client_handshake.hpp"
#include "proxy/session/ending.hpp"
#include "proxy/session/placement.hpp"
#include "proxy/session/pooled_session.hpp"
#include "proxy/session/relay.hpp"
#include "proxy/session/reservation.hpp"
#include "proxy/session/server_login.hpp"
#include "proxy/session/session_meter.hpp"
#include "proxy/session/time_limits.hpp"
#include "proxy/transport.hpp"
#include "proxy/visitor.hpp"
#include "proxy/worker.hpp"
#include "routing/route.hpp"
#include "routing/tenant_hint.hpp"

namespace proxy {

enum class session_state {
  greeting,        ///< the client's opening is being read
  authenticating,  ///< the lodge finds out whether the client is who it says
  held,            ///< its tenant is held; it waits for a new table
  entering,        ///< a server is being connected to or logged in at
  relaying,        ///< client and server talk
  pooled,          ///< the client talks, and has a server while it needs one
  console,         ///< it talks with the lodge itself
  leaving,         ///< the client is told why, and its connection closed
  cancelling,      ///< it was a cancel request, which is being passed on
};

class client_session final : private pooled_session::host, public worker::resident {
 public:
  /// `place` is what the session counts as in its worker's load.
  client_session(worker& home, visitor who, counted place);
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

  // When memory is short; in client_session_facts.cpp.

  /// In bytes, what this session alone keeps, unless it is on its way out. O(prepared statements).
  [[nodiscard]] std::size_t held() const;
  void end_for_memory();

  // For the console; likewise.

  [[nodiscard]] console::client_facts facts() const;
  [[nodiscard]] bool is(const console::kill_target& whom) const;
  void kill();

 private:
  template <class T>
  using step = std::expected<T, ending>;
  using entered_ptr = std::unique_ptr<server_login::entered>;

  [[nodiscard]] std::string state_in_words() const;
  [[nodiscard]] std::optional<routing::route> place_now() const;
  task<ending> serve(std::shared_ptr<client_session> self);
  task<step<entered_ptr>> arrive();
  task<step<session_request>> come_in();
  [[nodiscard]] std::optional<ending> why_full();
  [[nodiscard]] bool shares_connections(const session_request& request) const;
  [[nodiscard]] routing::session_facts facts_of(const session_request& request) const;
  [[nodiscard]] std::optional<pgwire::server_credentials> server_credentials(const server_access& how);
  task<std::optional<ending>> agree_on_version(const pgwire::startup_message& startup);
  task<step<std::optional<auth_pass>>> authenticate();
  task<step<routing::route>> place();
  [[nodiscard]] step<routing::route> if_enabled(step<routing::route> found) const;
  [[nodiscard]] step<routing::route> look_up() const override;
  [[nodiscard]] step<pgwire::server_credentials> log_in_as(const routing::route& where,
                                                           const server_access& how) override;
  /// By the client's certificate, password, ...: who it is; its tenant is looked at later.
  task<step<console::privilege>> come_to_console(const session_request& request);
  void pool(const session_request& request);
  task<ending> converse_until_end();
  task<ending> pool_until_end(std::shared_ptr<client_session> self);
  task<std::optional<ending>> reserve();
  task<std::optional<ending>> reserve_elsewhere();
  task<bool> wait_for_turn(bool again);
  task<std::optional<ending>> outlast(server_login::refusal why);
  task<step<entered_ptr>> enter(const session_request& request);
  task<std::expected<entered_ptr, server_login::refusal>> try_to_enter(const session_request& request);
  task<ending> relay_until_end(entered_ptr entered, std::shared_ptr<client_session> self);
  [[nodiscard]] ending ending_of(relay_end how) const;
  task<ending> pass_cancel_on(const pgwire::cancel_key& presented);
  task<void> goodbye(const ending& why);

  void obey(const routing::route& now);
  void keep_limits(clock::time_point now);
  void log_end(const ending& why) const;
  void end_with(ending why);
  void cancel_waits();
  [[nodiscard]] std::optional<ending> why_leave(const step<routing::route>& now) const;
  [[nodiscard]] std::string name() const override;
  [[nodiscard]] desk::own_level log_level() const override;
  void set_tenant(const routing::tenant_id& tenant) override { who_.tenant = tenant; }

  worker& home_;
  const std::uint64_t id_;
  const visitor visitor_;
  counted in_worker_, in_lodge_;
  const clock::time_point since_ = clock::now();
  clock::time_point held_since_;
  std::string application_name_;  ///< by its startup packet
  std::string replication_ = "none";

  session_state state_ = session_state::greeting;
  transport client_;
  message_reader from_client_;  ///< until the relay takes over
  transport server_;
  session_meter meter_;
  time_limits time_;  ///< of a session with a connection of its own
  clock::time_point deadline_;
  std::optional<ending> ending_;     ///< decided from outside: the session is on its way out
  std::optional<ending> when_idle_;  ///< the same, once it is idle
  bool draining_ = false;

  pgwire::protocol_version version_;  ///< spoken with the client
  routing::identity who_;
  std::optional<routing::route> route_;
  std::optional<auth_pass> pass_;  ///< what authentication gave for logging in; nothing by passthrough
  std::optional<client_auth> auth_;
  std::optional<timer> released_;          ///< what a held session waits for
  std::unique_ptr<reservation> reserved_;  ///< of a session with a connection of its own
  std::uint64_t reserved_version_ = 0;     ///< of the table by which it asked
  clock::time_point reserve_until_;        ///< for how long it waits for a server
  std::optional<server_login> login_;
  std::optional<dial> cancel_dial_;
  std::optional<relay> relay_;
  std::unique_ptr<pooled_session> pooled_;  ///< large, and not everybody has one
  std::unique_ptr<console::console_session> console_;
  std::shared_ptr<const cancel_target> own_server_;  ///< where the relay leads
  cancel_registry::handle cancel_handle_;
};

}  // namespace proxy
