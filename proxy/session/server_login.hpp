// Finds a session's server and logs in there: host by host in order, until a primary has let it in.
//
// Another host can take a failed one's place only while the client has seen nothing of the failed one: a password
// that was asked for by one server is no answer to another. A standby is recognised by what it reports
// (in_hot_standby), and is remembered, so that the next session begins with a primary; so is a host that is down.
//
// What is an outage, and what an answer: whoever waits for a server is served by waiting for the end of an outage, and
// never by waiting for another answer. An outage is a name that is not found, a connection that is refused, silent, or
// closed before the login's end, 57P03 (starting up, shutting down, recovering), 57P01 and 57P02 (shut down during the
// login), and a server without a primary. An answer is everything else that a server says: a wrong password, role or
// database concerns one tenant. It concerns all of them where the login is the lodge's own, by the server's `user`: no
// client can mend that, or shall take it for its own password, so it is told 08001, and the log has an error. It is no
// outage all the same: by pg_hba.conf it may be one database's, and waiting mends nothing. An answer is 53300, too,
// which may be the limit of one role or database: whoever can use somebody else's connection waits for that, and holds
// up nobody. TLS that does not come about and bytes that are no protocol are mended by an administrator, who should
// hear of them at once; what the lodge lacks itself, such as descriptors, is no matter of the server's.
//
// Under tls.mode prefer plain text takes TLS's place where libpq would let it: when the handshake fails, and when the
// server lets the role in over no TLS. `prefer` promises nothing, and whoever wants a promise says `require`.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocol/login_fsm.hpp"
#include "proxy/session/cancel_registry.hpp"
#include "proxy/session/dial.hpp"
#include "proxy/session/ending.hpp"
#include "proxy/session/message_reader.hpp"
#include "routing/route.hpp"

namespace proxy {

class worker;

class server_login {
 public:
  struct request {
    std::shared_ptr<const routing::server> server;
    std::shared_ptr<const server_access> how;
    std::optional<pgwire::server_credentials> with;  ///< nothing: by passthrough
    std::string startup;                             ///< the whole packet
    clock::duration connect_timeout;  ///< for one attempt at one address, the client's own time to answer excepted
    std::function<void()>
        answered;  ///< may be empty; called when a server asks for the client's secret, so it is there
  };

  /// What a login gave.
  struct entered {
    endpoint server;                      ///< the address that let it in
    std::optional<cancel_target> cancel;  ///< where this connection's statements are cancelled, by which key
    std::string greeting;                 ///< whole messages for the client, BackendKeyData and ReadyForQuery excepted
    std::string server_early;             ///< ReadyForQuery, and whatever the server sent after it
    std::string client_early;             ///< what the client sent beyond its answers
  };

  /// One host's failure: what is told if it is the last.
  struct failure {
    std::string why;  ///< for people, after the host's name: "Connection refused"
    ending told;
    bool try_next = true;
    bool standby = false;
    bool outage = false;               ///< nobody is let in there for now, whoever it is
    bool answered = false;             ///< it is there, and said no
    bool full = false;                 ///< to this role or database, or to all, until somebody leaves
    bool of_lodge = false;             ///< no to the lodge's own login, whoever the client is
    bool plain_text_may_help = false;  ///< under tls.mode prefer: TLS was in the way
  };

  /// Why there is no server.
  struct refusal {
    ending told;            ///< to the client
    bool outage = false;    ///< it may go better later, and no better for others meanwhile
    bool answered = false;  ///< a server said so
    bool full = false;      ///< and lets somebody in when another leaves
    std::string why;        ///< for people: what the one host says, or the hosts with their reasons
  };

  /// All must outlive the login. `from_client` reads `client`; `server` becomes the connection.
  server_login(worker& home, transport& client, message_reader& from_client, transport& server);

  task<std::expected<std::unique_ptr<entered>, refusal>> run(const request& what);

  /// Ends an attempt that has overstayed.
  void on_tick(clock::time_point now);
  /// Ends the attempt that runs; `run` then fails. To be called again if there may be another.
  void cancel();

 private:
  // Nothing: it has succeeded, `entered_` is what came of it. Pointers, for each coroutine's frame has room for a
  // result.
  using failure_ptr = std::unique_ptr<failure>;

  task<failure_ptr> try_host(const routing::host& host);
  void remember(const routing::host& host, const failure* why) const;
  [[nodiscard]] bool own_role() const { return !what_->server->user.empty(); }
  [[nodiscard]] ending own_login_refused(const std::string& why) const;
  task<failure_ptr> try_address(const routing::host& host, const endpoint& address);
  task<failure_ptr> connect_by(routing::tls_mode mode, const routing::host& host, const endpoint& address);
  task<failure_ptr> log_in(const routing::host& host, const endpoint& address);
  [[nodiscard]] pgwire::login_fsm begin();
  task<failure_ptr> ask_client(pgwire::login_fsm& login);
  task<std::optional<pgwire::secret_key>> derive(const pgwire::login_fsm::derive& what);
  [[nodiscard]] failure_ptr failed(const pgwire::login_fsm& login, std::string why) const;
  [[nodiscard]] failure_ptr lost(const pgwire::login_fsm& login, std::string why) const;
  [[nodiscard]] failure_ptr down(std::string why) const;
  [[nodiscard]] failure_ptr unreachable(std::string why) const;
  [[nodiscard]] failure_ptr standby(const pgwire::login_fsm& login) const;
  [[nodiscard]] failure_ptr wants_secret(const std::string& method) const;
  [[nodiscard]] failure_ptr refused(const pgwire::login_fsm::server_error& error, std::string_view as_it_came,
                                    const pgwire::login_fsm& login) const;
  void start_clock();
  void stop_clock() { attempt_ends_ = clock::time_point::max(); }

  worker& home_;
  transport& client_;
  message_reader& from_client_;
  transport& server_;
  dial dial_;
  const request* what_ = nullptr;
  std::unique_ptr<entered> entered_;
  clock::time_point attempt_ends_ = clock::time_point::max();
  bool overstayed_ = false;
  bool cancelled_ = false;
};

}  // namespace proxy
