// Logging in at a server: what is passed on, kept, asked and refused.
#include "protocol/login_fsm.hpp"

#include <catch2/catch.hpp>

#include "protocol/backend_messages.hpp"
#include "protocol/frontend_messages.hpp"
#include "protocol/password_secret.hpp"
#include "protocol/scram_server_fsm.hpp"

namespace login_fsm_test {

using namespace pgwire;
using namespace std::string_literals;
using kind = backend::authentication::kind;

namespace {

login_fsm::action give(login_fsm& login, std::string_view message) {
  return login.on_server_message(message[0], as_bytes(message.substr(5)));
}
std::string auth(kind request, std::string_view data = {}, std::vector<std::string_view> mechanisms = {}) {
  return backend::authentication{request, data, std::move(mechanisms)}.encode();
}
login_fsm trusting() { return {server_credentials{"app", std::nullopt, std::nullopt}, "nonce", std::nullopt}; }
login_fsm with_password(std::optional<std::string> end_point = std::nullopt) {
  return {server_credentials{"app", secret_string("open sesame"), std::nullopt}, "nonce", std::move(end_point)};
}
template <class Action>
bool is(const login_fsm::action& action) {
  return std::holds_alternative<Action>(action);
}
errc failure(const login_fsm::action& action) { return std::get<login_fsm::failed>(action).code; }

const auto ready = backend::ready_for_query{}.encode();
const auto status = backend::parameter_status{"in_hot_standby", "on"}.encode();
const auto key = encode_backend_key_data(cancel_key(9, as_bytes("abcd")));

}  // namespace

TEST_CASE("a SASL login through to ReadyForQuery") {
  login_fsm login;
  CHECK_FALSE(login.client_involved());
  CHECK(is<login_fsm::ask_client>(give(login, auth(kind::sasl, "", {"SCRAM-SHA-256"}))));
  CHECK(login.client_involved());
  CHECK_FALSE(login.on_client_message('p', as_bytes("x")));
  CHECK(is<login_fsm::ask_client>(give(login, auth(kind::sasl_continue, "r=1"))));
  CHECK_FALSE(login.on_client_message('p', as_bytes("x")));
  CHECK(is<login_fsm::forward_to_client>(give(login, auth(kind::sasl_final, "v=1"))));
  CHECK(is<login_fsm::keep>(give(login, auth(kind::ok))));
  CHECK(is<login_fsm::keep>(give(login, backend::notice_response{}.encode())));
  CHECK(is<login_fsm::keep>(give(login, status)));
  CHECK(login.standby());
  CHECK(std::get<login_fsm::key>(give(login, key)).value.process_id() == 9);
  CHECK(is<login_fsm::ready>(give(login, ready)));
  CHECK(failure(give(login, ready)) == errc::misplaced_message);
}

TEST_CASE("which requests go to the client") {
  const auto asked = [](const std::string& message) {
    login_fsm login;
    return give(login, message);
  };
  CHECK(is<login_fsm::ask_client>(asked(auth(kind::cleartext_password))));
  CHECK(is<login_fsm::ask_client>(asked(auth(kind::md5_password, "salt"))));
  CHECK(is<login_fsm::ask_client>(asked(auth(kind::gss))));
  CHECK(is<login_fsm::ask_client>(asked(auth(kind::sspi))));
  CHECK(is<login_fsm::forward_to_client>(asked(auth(kind::gss_continue, "token"))));
  CHECK(failure(asked(auth(kind::kerberos_v5))) == errc::bad_field);
  CHECK(failure(asked(auth(static_cast<kind>(99)))) == errc::bad_field);
  CHECK(failure(asked(auth(kind::md5_password, "sal"))) == errc::truncated);
}

TEST_CASE("under trust the server must not ask") {
  const auto method = [](const std::string& message) {
    login_fsm login = trusting();
    return std::get<login_fsm::wants_secret>(give(login, message)).method;
  };
  CHECK(method(auth(kind::cleartext_password)) == "password");
  CHECK(method(auth(kind::md5_password, "salt")) == "md5");
  CHECK(method(auth(kind::sasl, "", {"SCRAM-SHA-256"})) == "scram-sha-256");
  CHECK(method(auth(kind::gss)) == "gss");
  CHECK(method(auth(kind::sspi)) == "sspi");
  CHECK(method(auth(kind::scm_credential)) == "authentication method 6");
  login_fsm login = trusting();
  CHECK(is<login_fsm::keep>(give(login, auth(kind::ok))));
  CHECK_FALSE(login.client_involved());
}

TEST_CASE("the server's messages out of place") {
  login_fsm login;
  for (const auto& early :
       {ready, status, key, backend::negotiate_protocol_version{}.encode(), backend::command_complete{"X"}.encode()}) {
    CHECK(failure(give(login, early)) == errc::misplaced_message);
  }
  CHECK(failure(give(login, "?\0\0\0\4"s)) == errc::unknown_message_type);
  CHECK(failure(give(login, "R" + std::string(4 + most_login_message, '\0'))) == errc::bad_length);
  CHECK(is<login_fsm::keep>(give(login, auth(kind::ok))));
  CHECK(failure(give(login, auth(kind::ok))) == errc::misplaced_message);
  CHECK(failure(give(login, auth(kind::cleartext_password))) == errc::misplaced_message);
  CHECK(failure(give(login, "Z\0\0\0\4"s)) == errc::truncated);
  CHECK(failure(give(login, "Z\0\0\0\6II"s)) == errc::trailing_bytes);
  CHECK(failure(give(login, "S\0\0\0\5x"s)) == errc::missing_terminator);
  CHECK(failure(give(login, "K\0\0\0\7abc"s)) == errc::truncated);
}

TEST_CASE("the server's errors") {
  login_fsm login;
  const auto error = std::get<login_fsm::server_error>(give(login, "E\0\0\0\0C57P03\0Mno\0\0"s));
  CHECK(error.sqlstate == "57P03");
  CHECK(error.message == "no");
  login_fsm bare = trusting();
  CHECK(std::get<login_fsm::server_error>(give(bare, "E\0\0\0\0\0"s)).sqlstate.empty());
  login_fsm cut = trusting();
  CHECK(failure(give(cut, "E\0\0\0\0C57"s)) == errc::missing_terminator);
}

TEST_CASE("the client answers only when asked, and briefly") {
  login_fsm login;
  CHECK(login.on_client_message('p', {}) == errc::misplaced_message);
  give(login, auth(kind::cleartext_password));
  CHECK(failure(give(login, auth(kind::ok))) == errc::misplaced_message);
  CHECK(login.on_client_message('X', {}) == errc::misplaced_message);
  const std::string most(most_login_message - 4, 'x');
  CHECK(login.on_client_message('p', as_bytes(most + "x")) == errc::bad_length);
  CHECK_FALSE(login.on_client_message('p', as_bytes(most)));
  CHECK(is<login_fsm::keep>(give(login, auth(kind::ok))));
}

TEST_CASE("with a password every method is answered, and the client is not asked") {
  {
    login_fsm login = with_password();
    const auto said = std::get<login_fsm::reply>(give(login, auth(kind::cleartext_password)));
    CHECK(said.message.view() == frontend::password{"open sesame"}.encode());
    CHECK(is<login_fsm::keep>(give(login, auth(kind::ok))));
    CHECK_FALSE(login.client_involved());
  }
  {
    login_fsm login = with_password();
    const auto said = std::get<login_fsm::reply>(give(login, auth(kind::md5_password, "salt")));
    const auto expected = md5_answer(plain_secret{secret_string("open sesame")}, "app", as_bytes("salt"));
    CHECK(said.message.view() == frontend::password{expected->view()}.encode());
  }
  login_fsm login = with_password();
  CHECK(std::get<login_fsm::wants_secret>(give(login, auth(kind::gss))).method == "gss");
}

TEST_CASE("SCRAM with a password: derive, prove, and nothing is believed before the server's proof") {
  const std::string salt = "salt and pepper!";
  const auto secret = build_scram_secret("open sesame", as_bytes(salt), 4096);
  scram_server_fsm server(secret, "servernonce", std::nullopt);
  login_fsm login = with_password();
  const auto first = std::get<login_fsm::reply>(give(login, auth(kind::sasl, "", {"SCRAM-SHA-256"})));
  const auto initial = frontend::sasl_initial_response::decode(as_bytes(first.message.view()).subspan(5));
  REQUIRE(initial);
  const auto challenge =
      std::get<scram_server_fsm::send_continue>(server.on_initial(initial->mechanism, initial->data));
  const auto slow = std::get<login_fsm::derive>(give(login, auth(kind::sasl_continue, challenge.text)));
  CHECK(slow.salt == salt);
  const auto proof = std::get<login_fsm::reply>(
      login.on_derived(salted_password("open sesame", as_bytes(slow.salt), slow.iterations)));
  SECTION("an impostor says that all is well") {
    CHECK(failure(give(login, auth(kind::ok))) == errc::server_not_genuine);
  }
  SECTION("an impostor proves something") {
    CHECK(failure(give(login, auth(kind::sasl_final, "v=AAAA"))) != errc::truncated);
  }
  SECTION("the server") {
    const auto response = frontend::sasl_response::decode(as_bytes(proof.message.view()).subspan(5));
    const auto accepted = std::get<scram_server_fsm::accepted>(server.on_response(response->data));
    CHECK(is<login_fsm::proceed>(give(login, auth(kind::sasl_final, accepted.server_final))));
    CHECK(is<login_fsm::keep>(give(login, auth(kind::ok))));
  }
}

TEST_CASE("SCRAM with keys needs nothing slow; other methods need a password") {
  const auto secret = build_scram_secret("open sesame", as_bytes("salt and pepper!"), 4096);
  const auto keys = derive_keys(salted_password("open sesame", as_bytes("salt and pepper!"), 4096));
  scram_server_fsm server(secret, "servernonce", std::nullopt);
  login_fsm login(server_credentials{"app", std::nullopt, keys}, "nonce", std::nullopt);
  const auto first = std::get<login_fsm::reply>(give(login, auth(kind::sasl, "", {"SCRAM-SHA-256"})));
  const auto initial = frontend::sasl_initial_response::decode(as_bytes(first.message.view()).subspan(5));
  const auto challenge =
      std::get<scram_server_fsm::send_continue>(server.on_initial(initial->mechanism, initial->data));
  CHECK(is<login_fsm::reply>(give(login, auth(kind::sasl_continue, challenge.text))));
  login_fsm other(server_credentials{"app", std::nullopt, keys}, "nonce", std::nullopt);
  CHECK(std::get<login_fsm::wants_secret>(give(other, auth(kind::md5_password, "salt"))).method == "md5");
}

TEST_CASE("an md5 secret answers md5 as its password would; other methods need a password") {
  const md5_secret secret{secret_string("7d0e1dd5c79b2a6cf44b6b5e0dd9d1e5")};
  const auto with_md5 = [&] { return login_fsm({"app", std::nullopt, secret}, "nonce", std::nullopt); };
  {
    login_fsm login = with_md5();
    const auto said = std::get<login_fsm::reply>(give(login, auth(kind::md5_password, "salt")));
    CHECK(said.message.view() == frontend::password{md5_answer(secret, "app", as_bytes("salt"))->view()}.encode());
    CHECK(is<login_fsm::keep>(give(login, auth(kind::ok))));
    CHECK_FALSE(login.client_involved());
  }
  {
    // What PostgreSQL keeps of the password, and the password, are one to a server that asks for md5.
    const auto whole = parse_password_secret("md5ca8c5a3a697c1bfcf0b24830dc9b39ad").value();
    login_fsm by_secret({"md5", std::nullopt, std::get<md5_secret>(whole)}, "nonce", std::nullopt);
    login_fsm by_password({"md5", secret_string("open sesame"), secret}, "nonce", std::nullopt);
    CHECK(std::get<login_fsm::reply>(give(by_secret, auth(kind::md5_password, "salt"))).message ==
          std::get<login_fsm::reply>(give(by_password, auth(kind::md5_password, "salt"))).message);
  }
  const auto wanted = [&](const std::string& message) {
    login_fsm login = with_md5();
    return std::get<login_fsm::wants_secret>(give(login, message)).method;
  };
  CHECK(wanted(auth(kind::cleartext_password)) == "password");
  CHECK(wanted(auth(kind::sasl, "", {"SCRAM-SHA-256"})) == "scram-sha-256");
  login_fsm login = with_md5();
  CHECK(failure(give(login, auth(kind::sasl_continue, "r=1"))) == errc::misplaced_message);
}

TEST_CASE("SCRAM messages out of place") {
  for (const auto late : {kind::sasl_continue, kind::sasl_final}) {
    login_fsm login = with_password();
    CHECK(failure(give(login, auth(late, "r=1"))) == errc::misplaced_message);
  }
  login_fsm login = with_password();
  give(login, auth(kind::sasl, "", {"SCRAM-SHA-256"}));
  CHECK(failure(give(login, auth(kind::sasl, "", {"SCRAM-SHA-256"}))) == errc::misplaced_message);
  login_fsm none = with_password();
  CHECK(failure(give(none, auth(kind::sasl, "", {"OAUTHBEARER"}))) == errc::unknown_sasl_mechanism);
}

TEST_CASE("channel binding is not passed on: the client's channel ends at the lodge") {
  login_fsm login;
  const auto asked =
      std::get<login_fsm::ask_client>(give(login, auth(kind::sasl, "", {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"})));
  CHECK(asked.instead == auth(kind::sasl, "", {"SCRAM-SHA-256"}));
  CHECK(login.plus_withheld());
  login_fsm plain;
  CHECK(std::get<login_fsm::ask_client>(give(plain, auth(kind::sasl, "", {"SCRAM-SHA-256"}))).instead.empty());
}

}  // namespace login_fsm_test
