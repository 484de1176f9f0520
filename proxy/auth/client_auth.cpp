#include "proxy/auth/client_auth.hpp"

#include <array>
#include <utility>

#include "conf/words.hpp"
#include "protocol/backend_messages.hpp"
#include "protocol/frontend_messages.hpp"
#include "protocol/scram_messages.hpp"
#include "protocol/scram_server_fsm.hpp"
#include "protocol/sqlstate.hpp"
#include "proxy/desk/log_line.hpp"
#include "proxy/random.hpp"

namespace proxy {

using conf::auth_method;
using pgwire::errc;
using pgwire::backend::authentication;
using request_kind = pgwire::backend::authentication::kind;
namespace sqlstate = pgwire::sqlstate;

namespace {

// PG_MAX_AUTH_TOKEN_LENGTH in src/backend/libpq/auth.c: a whole body, the zero byte included.
constexpr std::size_t most_password_body = pgwire::most_password_bytes;
// PG_MAX_SASL_MESSAGE_LENGTH in src/backend/libpq/auth-sasl.c: likewise.
constexpr std::size_t most_sasl_body = pgwire::most_scram_client_message;
constexpr std::size_t md5_salt_bytes = 4;

std::string question(request_kind kind, std::string_view data = {}) {
  authentication message;
  message.request = kind;
  message.data = data;
  return message.encode();
}

ending too_many_at_once() {
  return ending::fatal(sqlstate::too_many_connections, "too many authentications are under way", {},
                       "Try again later.");
}

ending unavailable() {
  return ending::fatal(sqlstate::connection_unestablished, "authentication is not available now", {},
                       "Try again later.");
}

ending left() { return ending::quiet("the client left during its authentication"); }

}  // namespace

task<client_auth::outcome> client_auth::run(auth_request request) {
  request_ = std::move(request);
  switch (request_.method) {
    case auth_method::trust: co_return unasked();
    case auth_method::password:
    case auth_method::md5:
    case auth_method::scram_sha_256:
    case auth_method::cert: break;
    case auth_method::passthrough:
    case auth_method::reject:
      log_failure("a rule refuses it");
      co_return std::unexpected(
          ending::fatal(sqlstate::invalid_authorization,
                        "the lodge's rules refuse the connection of user \"" + request_.role + "\""));
  }
  auto turn = co_await throttle_.enter(home_, applicant(), waits_at_);
  if (turn.how != auth_throttle::outcome::entered) co_return held_off(turn.how);
  place_ = std::move(turn.held);
  if (request_.method == auth_method::cert) co_return by_certificate();
  co_return co_await by_secret();
}

void client_auth::cancel() {
  if (const auto waiting = waits_at_.lock()) waiting->cancel();
}

client_auth::outcome client_auth::unasked() const {
  auth_pass pass;
  const auto* users = source_->users();
  const auto* known = users != nullptr ? users->find(request_.role) : nullptr;
  if (known == nullptr || !*known) return pass;
  if (const auto* plain = std::get_if<pgwire::plain_secret>(&(*known)->secret())) pass.password = plain->password;
  if (const auto* md5 = std::get_if<pgwire::md5_secret>(&(*known)->secret())) pass.keys = *md5;
  return pass;
}

// As PostgreSQL's method cert: the common name is the role.
client_auth::outcome client_auth::by_certificate() const {
  if (!request_.certificate) {
    log_failure("it has no certificate");
    return std::unexpected(
        ending::fatal(sqlstate::invalid_authorization, "connection requires a valid client certificate"));
  }
  if (request_.role.empty() || request_.certificate->common_name != request_.role) {
    log_failure("its certificate is for " + conf::in_quotes(request_.certificate->common_name));
    throttle_.failed(applicant(), clock::now());
    return std::unexpected(ending::fatal(sqlstate::invalid_authorization,
                                         "certificate authentication failed for user \"" + request_.role + "\""));
  }
  return unasked();
}

task<client_auth::outcome> client_auth::by_secret() {
  auto found = co_await source_->find(home_, request_.role, waits_at_);
  if (!found) {
    co_return std::unexpected(found.error() == auth_source::failure::unavailable ? unavailable() : left());
  }
  const bool is_scram = (*found)->kind() == secret_kind::scram;
  if (request_.method == auth_method::password) co_return co_await by_password(*found);
  if (request_.method == auth_method::md5 && !is_scram) co_return co_await by_md5(*found);
  co_return co_await by_scram(*found);
}

// Waits until the verdict may be told. Nothing: it may, and a wrong one has been counted.
task<std::optional<ending>> client_auth::settle(const stored_secret& secret, pgwire::password_check verdict) {
  place_ = {};  // the work is done, and the wait may be long
  const bool is_right = verdict == pgwire::password_check::right && !secret.is_mock();
  const auto how = co_await throttle_.settle(home_, applicant(), is_right, waits_at_);
  if (!is_right) source_->doubt(request_.role);
  if (how == auth_throttle::outcome::entered) co_return std::nullopt;
  co_return held_off(how).error();
}

task<client_auth::outcome> client_auth::by_password(stored_secret_ptr secret) {
  const std::string asked = question(request_kind::cleartext_password);
  const auto body = co_await ask(asked, most_password_body);
  if (!body) co_return std::unexpected(body.error());
  const auto message = pgwire::frontend::password::decode(pgwire::as_bytes(body->view()));
  if (!message) co_return violated(message.error());
  if (message->text.empty()) co_return empty_password();

  auth_pass pass;
  pass.password = pgwire::secret_string(message->text);
  auto verdict = pgwire::password_check::wrong;
  if (pgwire::verification_is_slow(secret->secret())) {
    auto job = [secret, role = request_.role, password = *pass.password] {
      return pgwire::verify_password(secret->secret(), role, password.view());
    };
    const auto done = co_await computing_.run(home_, std::move(job));
    if (!done) co_return not_computed(done.error());
    verdict = *done;
  } else {
    verdict = pgwire::verify_password(secret->secret(), request_.role, message->text);
  }
  auto held = co_await settle(*secret, verdict);
  if (held) co_return std::unexpected(*std::move(held));
  if (verdict != pgwire::password_check::right) co_return wrong(*secret, verdict);
  co_return passed(*secret, std::move(pass));
}

task<client_auth::outcome> client_auth::by_md5(stored_secret_ptr secret) {
  std::array<std::byte, md5_salt_bytes> salt{};
  fill_random(salt);
  const std::string asked = question(request_kind::md5_password, pgwire::as_text(salt));
  const auto body = co_await ask(asked, most_password_body);
  if (!body) co_return std::unexpected(body.error());
  const auto message = pgwire::frontend::password::decode(pgwire::as_bytes(body->view()));
  if (!message) co_return violated(message.error());
  if (message->text.empty()) co_return empty_password();

  const auto verdict = pgwire::verify_md5_answer(secret->secret(), request_.role, salt, message->text);
  auto held = co_await settle(*secret, verdict);
  if (held) co_return std::unexpected(*std::move(held));
  if (verdict != pgwire::password_check::right) co_return wrong(*secret, verdict);
  auth_pass pass;
  if (const auto* plain = std::get_if<pgwire::plain_secret>(&secret->secret())) pass.password = plain->password;
  if (const auto* md5 = std::get_if<pgwire::md5_secret>(&secret->secret())) pass.keys = *md5;
  co_return passed(*secret, std::move(pass));
}

task<client_auth::outcome> client_auth::by_scram(stored_secret_ptr secret) {
  if (secret->scram_at_hand() == nullptr) {
    auto job = [secret, key = source_->mock_key(), role = request_.role] { secret->build_scram(key, role); };
    const auto built = co_await computing_.run(home_, std::move(job));
    if (!built) co_return not_computed(built.error());
  }
  using fsm = pgwire::scram_server_fsm;
  const pgwire::scram_secret& checked = *secret->scram_at_hand();
  fsm exchange(checked, random_nonce(), request_.end_point);
  authentication offer;
  offer.request = request_kind::sasl;
  offer.mechanisms = exchange.mechanisms();
  const std::string offered = offer.encode();
  auto body = co_await ask(offered, most_sasl_body);
  if (!body) co_return std::unexpected(body.error());
  const auto initial = pgwire::frontend::sasl_initial_response::decode(pgwire::as_bytes(body->view()));
  if (!initial) co_return violated(initial.error());

  fsm::action next = exchange.on_initial(initial->mechanism, initial->data);
  while (const auto* more = std::get_if<fsm::send_continue>(&next)) {
    const std::string said = question(request_kind::sasl_continue, more->text);
    body = co_await ask(said, most_sasl_body);
    if (!body) co_return std::unexpected(body.error());
    const auto response = pgwire::frontend::sasl_response::decode(pgwire::as_bytes(body->view()));
    if (!response) co_return violated(response.error());
    next = exchange.on_response(response->data);
  }
  const auto* failed = std::get_if<fsm::failed>(&next);
  if (failed != nullptr && failed->code != errc::wrong_password) co_return violated(failed->code);
  const auto verdict = failed != nullptr ? pgwire::password_check::wrong : pgwire::password_check::right;
  auto held = co_await settle(*secret, verdict);
  if (held) co_return std::unexpected(*std::move(held));
  if (failed != nullptr) co_return wrong(*secret, verdict);
  const auto& accepted = std::get<fsm::accepted>(next);
  auth_pass pass;
  pass.keys = pgwire::scram_keys{accepted.client_key, checked.server_key};
  if (const auto* plain = std::get_if<pgwire::plain_secret>(&secret->secret())) pass.password = plain->password;
  auto way_in = passed(*secret, std::move(pass));
  if (!way_in) co_return way_in;
  const std::string last = question(request_kind::sasl_final, accepted.server_final);
  if (!co_await client_.send(last)) co_return std::unexpected(left());
  co_return way_in;
}

// Sends a question and takes the answer's body.
task<std::expected<pgwire::secret_string, ending>> client_auth::ask(std::string_view asked, std::size_t most) {
  if (!co_await client_.send(asked)) co_return std::unexpected(left());
  auto body = co_await client_.answer(most);
  if (body) co_return std::move(*body);
  if (body.error().is_gone) co_return std::unexpected(left());
  co_return violated(body.error().code);
}

// The one way in.
client_auth::outcome client_auth::passed(const stored_secret& secret, auth_pass pass) const {
  if (secret.is_mock()) return wrong(secret, pgwire::password_check::right);
  return pass;
}

std::unexpected<ending> client_auth::wrong(const stored_secret& secret, pgwire::password_check verdict) const {
  const bool no_secret =
      secret.is_mock() || (request_.method == auth_method::scram_sha_256 && secret.kind() == secret_kind::md5);
  log_failure(no_secret ? "there is no such role, or it has no secret for this method"
              : verdict == pgwire::password_check::impossible ? "MD5 is not available"
                                                              : "the password is wrong");
  return std::unexpected(
      ending::fatal(sqlstate::invalid_password, "password authentication failed for user \"" + request_.role + "\""));
}

std::unexpected<ending> client_auth::empty_password() const {
  log_failure("the password is empty");
  throttle_.failed(applicant(), clock::now());
  return std::unexpected(ending::fatal(sqlstate::invalid_password, "empty password returned by client"));
}

std::unexpected<ending> client_auth::violated(errc code) const {
  log_failure(pgwire::describe(code).text);
  throttle_.failed(applicant(), clock::now());
  return std::unexpected(ending::of(code));
}

std::unexpected<ending> client_auth::held_off(auth_throttle::outcome how) const {
  if (how == auth_throttle::outcome::cancelled) return std::unexpected(left());
  log_failure("too many are under way, or wait after failures");
  return std::unexpected(too_many_at_once());
}

std::unexpected<ending> client_auth::not_computed(slow_refusal why) const {
  log_failure(why == slow_refusal::busy ? "too many passwords are being checked" : "it could not be computed");
  return std::unexpected(why == slow_refusal::busy ? too_many_at_once() : unavailable());
}

void client_auth::log_failure(std::string_view why) const {
  desk::say_bounded(spdlog::level::info, "{}: authentication of role {} by {} failed: {}", request_.session,
                    conf::in_quotes(request_.role), conf::to_string(request_.method), why);
}

}  // namespace proxy
