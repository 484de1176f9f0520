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

#include "proxy/auth/auth_rules.hpp"
#include "proxy/auth/client_auth.hpp"
#include "proxy/console/console_session.hpp"
#include "proxy/counted.hpp"
#include "proxy/io.hpp"
#include "proxy/seldom.hpp"
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
#include "proxy/small_endpoint.hpp"
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

/// What a client asks for besides queries.
enum class replication_kind : std::uint8_t { none, physical, logical };

class client_session final : private pooled_session::host, public lookout::resident {
 public:
  /// `place` is what the session counts as in its worker's load.
  client_session(worker& home, visitor who, counted place);
  ~client_session();
  client_session(const client_session&) = delete;
  client_session& operator=(const client_session&) = delete;

  /// The whole story; owns the session while it runs.
  static task<void> run(std::shared_ptr<client_session> self);

  [[nodiscard]] std::uint64_t id() const { return id_; }

  /// A few times a second: ends what has overstayed. Nothing: this is to be called again soon. Otherwise since when it
  /// is idle: there is nothing to look at until it has been so for `timeouts.idle`, or is roused.
  [[nodiscard]] std::optional<clock::time_point> on_tick(clock::time_point now);
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
  using entered_or = std::expected<entered_ptr, server_login::refusal>;

  [[nodiscard]] std::string state_in_words() const;
  [[nodiscard]] std::optional<routing::route> place_now() const;
  // Nothing: it is in, and `stay` goes on.
  task<seldom<ending>> arrive(std::shared_ptr<client_session> self);
  // Steps of it; each ends what it needed before the next begins, since many clients may come at once.
  task<seldom<ending>> hear_request();
  task<seldom<ending>> take_in();
  task<seldom<ending>> stay(std::shared_ptr<client_session> self);
  [[nodiscard]] std::optional<ending> why_full();
  /// Who the client is; by passthrough the server finds out.
  [[nodiscard]] bool lodge_knows() const { return passed_ != conf::auth_method::passthrough; }
  [[nodiscard]] bool shares_connections() const;
  [[nodiscard]] bool hands_on() const;
  [[nodiscard]] routing::session_facts facts_of(const session_request& request) const;
  [[nodiscard]] std::optional<pgwire::server_credentials> server_credentials(const server_access& how);
  task<std::optional<ending>> agree_on_version(const pgwire::startup_message& startup);
  [[nodiscard]] auth_facts auth_facts_of(const routing::identity& who) const;
  task<step<conf::auth_method>> authenticate(auth_facts facts);
  task<seldom<ending>> place();
  [[nodiscard]] step<routing::route> if_enabled(step<routing::route> found) const;
  [[nodiscard]] step<routing::route> if_it_can_ask(step<routing::route> found) const;
  [[nodiscard]] step<routing::route> look_up(const routing::identity& who) const override;
  [[nodiscard]] step<routing::route> look_up_next(const routing::identity& next) const override;
  [[nodiscard]] step<pgwire::server_credentials> log_in_as(const routing::route& where,
                                                           const server_access& how) override;
  /// By the client's certificate, password, ...: who it is; its tenant is looked at later.
  task<seldom<ending>> come_to_console();
  void pool();
  task<seldom<ending>> converse_until_end();
  task<seldom<ending>> reserve();
  task<bool> wait_for_turn(bool again);
  task<seldom<ending>> outlast(server_login::refusal why);
  task<seldom<ending>> enter();
  task<entered_or> try_to_enter();
  task<entered_or> log_in();
  task<entered_ptr> take_over();
  [[nodiscard]] std::optional<server_login::refusal> count_in();
  void add_cancel_key(std::string& greeting);
  [[nodiscard]] pool_key own_key() const;
  [[nodiscard]] parameters_ptr shared_greeting(std::string_view messages) const;
  task<seldom<ending>> relay_until_end(std::shared_ptr<client_session> self);
  [[nodiscard]] ending ending_of(relay_end how) const;
  task<ending> pass_cancel_on(const pgwire::cancel_key& presented);
  void count_refusal(const ending& why) const;
  task<void> finish(seldom<ending> why);
  task<void> goodbye(const ending& why);
  void let_go_of_server();
  bool leave_behind();

  void obey(const routing::route& now);
  void keep_limits(clock::time_point now);
  void log_end(const ending& why) const;
  void end_with(ending why);
  void cancel_waits();
  [[nodiscard]] std::optional<ending> why_leave(const step<routing::route>& now) const;
  [[nodiscard]] std::string name() const override;
  [[nodiscard]] desk::own_level log_level() const override;
  void stirs() override { home_.rouse(*this); }

  // What it takes to talk with a server of one's own, to stay there or to pass a cancel request on. Whoever shares
  // connections has none of it.
  struct own_server {
    explicit own_server(asio::io_context& context) : link(context) {}
    transport link;
    std::unique_ptr<reservation> reserved;
    std::uint64_t reserved_version = 0;  ///< of the table by which it asked
    bool stays = false;                  ///< the connection goes on to others after this session
    parameters_ptr greeted;              ///< if it does: what the server reported when the session began
    clock::time_point reserve_until;     ///< for how long it waits for a server
    seldom<server_login> login;
    entered_ptr entered;  ///< between the login and the relay
    std::optional<relay> relaying;
    time_limits time;
    std::shared_ptr<const cancel_target> target;  ///< where the relay leads
    cancel_registry::handle cancel_handle;
    seldom<dial> cancel_dial;
  };
  /// Empty until its hints have been read.
  [[nodiscard]] const routing::identity& who() const;
  [[nodiscard]] relay* relaying() const { return own_ && own_->relaying ? &*own_->relaying : nullptr; }

  // Thousands of sessions are idle: what few have, or have for a moment, is held by a pointer.
  worker& home_;
  const std::uint64_t id_;
  const small_endpoint peer_;
  seldom<visitor> visitor_;  ///< until it is known what it wants
  counted in_worker_, in_lodge_;
  const clock::time_point since_ = clock::now();
  std::string application_name_;  ///< by its startup packet
  replication_kind replication_ = replication_kind::none;

  session_state state_ = session_state::greeting;
  transport client_;
  message_reader from_client_;  ///< until the relay takes over
  session_meter meter_;
  clock::time_point deadline_;
  seldom<ending> ending_;     ///< decided from outside: the session is on its way out
  seldom<ending> when_idle_;  ///< the same, once it is idle
  bool draining_ = false;

  pgwire::protocol_version version_;  ///< spoken with the client
  seldom<session_request> request_;   ///< until it is in
  // Until it shares connections: then `pooled_` has them.
  seldom<routing::identity> who_;
  seldom<routing::route> route_;
  conf::auth_method passed_ = conf::auth_method::passthrough;
  seldom<auth_pass> pass_;  ///< what that gave for logging in as the client
  seldom<client_auth> auth_;
  struct held_back {
    clock::time_point since;
    timer released;
  };
  seldom<held_back> held_;  ///< while its tenant is held
  std::unique_ptr<own_server> own_;
  std::unique_ptr<pooled_session> pooled_;
  std::unique_ptr<console::console_session> console_;
};

}  // namespace proxy
