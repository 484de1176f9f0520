// The lodge finds out whether a client is who it says: trust, password, md5, scram-sha-256 (and -PLUS), cert, reject.
//
// One story: wait for one's turn, look the role's secret up, ask, check, and wait until the verdict may be told. The
// role was fixed before it begins and appears nowhere in it (CVE-2026-107350). A role that does not exist, or that has
// no secret for the method, goes through the same messages and the same work, with a mock in the secret's place, and
// fails where a wrong password fails, in PostgreSQL's own words. What is slow runs in other threads.
//
// As with PostgreSQL, method md5 holds a SCRAM exchange for roles whose secret is SCRAM, and scram-sha-256 lets no role
// in whose secret is md5.
//
// AuthenticationOk is not sent: the client gets it with the server's greeting, so that nothing is said that a server
// has yet to agree to.
//
// What must hold: a client is let in by `passed` alone, which looks at `is_mock`. Every answer is judged by its type
// before anything else, and bounded as PostgreSQL bounds it.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "conf/daemon_file.hpp"
#include "protocol/login_fsm.hpp"
#include "protocol/secret.hpp"
#include "proxy/auth/auth_channel.hpp"
#include "proxy/auth/auth_source.hpp"
#include "proxy/auth/auth_throttle.hpp"
#include "proxy/session/ending.hpp"
#include "proxy/tls.hpp"

namespace proxy {

/// Who wants to come in, and how it must show that it may.
struct auth_request {
  conf::auth_method method = conf::auth_method::reject;  ///< not passthrough, which is the server's affair
  std::string role;
  std::optional<conf::ip_address> peer;  ///< nothing: a Unix socket
  std::optional<std::string> end_point;  ///< over TLS, tls-server-end-point of the lodge's certificate, if it has one
  std::optional<certificate_names> certificate;  ///< the client's, verified
  std::string session;                           ///< for the log
};

/// What an authentication gives for logging in at a server as the same role.
struct auth_pass {
  std::optional<pgwire::secret_string> password;
  std::optional<pgwire::login_keys> keys;  ///< good where the server keeps the secret that the client was checked by
};

class client_auth {
 public:
  /// All must outlive it. `computing` is for PBKDF2. The transport must have been read up to the last message's end and
  /// no further, which `run` keeps so.
  client_auth(const executor& home, slow_work& computing, auth_throttle& throttle, std::shared_ptr<auth_source> source,
              transport& client)
      : home_(home), computing_(computing), throttle_(throttle), source_(std::move(source)), client_(client) {}

  /// Once. The error is what the client is told.
  task<std::expected<auth_pass, ending>> run(auth_request request);

  /// Ends its waiting for anything but the client, whose transport the session cancels. To be called again if there may
  /// be another wait.
  void cancel();

 private:
  using outcome = std::expected<auth_pass, ending>;

  task<outcome> by_secret();
  task<outcome> by_password(stored_secret_ptr secret);
  task<outcome> by_md5(stored_secret_ptr secret);
  task<outcome> by_scram(stored_secret_ptr secret);
  task<std::optional<ending>> settle(const stored_secret& secret, pgwire::password_check verdict);
  task<std::expected<pgwire::secret_string, ending>> ask(std::string_view asked, std::size_t most);
  [[nodiscard]] std::optional<auth_applicant> applicant() const { return applicant_of(request_.peer, request_.role); }
  [[nodiscard]] outcome by_certificate() const;
  [[nodiscard]] outcome unasked() const;

  [[nodiscard]] outcome passed(const stored_secret& secret, auth_pass pass) const;
  [[nodiscard]] std::unexpected<ending> wrong(const stored_secret& secret, pgwire::password_check verdict) const;
  [[nodiscard]] std::unexpected<ending> empty_password() const;
  [[nodiscard]] std::unexpected<ending> violated(pgwire::errc code) const;
  [[nodiscard]] std::unexpected<ending> held_off(auth_throttle::outcome how) const;
  [[nodiscard]] std::unexpected<ending> not_computed(slow_refusal why) const;
  void log_failure(std::string_view why) const;

  const executor home_;
  slow_work& computing_;
  auth_throttle& throttle_;
  const std::shared_ptr<auth_source> source_;
  auth_channel client_;
  auth_request request_;
  auth_throttle::place place_;  ///< while it is under way
  std::weak_ptr<wait_point> waits_at_;
};

}  // namespace proxy
