// Both sides of a SCRAM exchange: with the RFC's words, with each other, and with what must not get through.
#include <catch2/catch.hpp>

#include "protocol/crypto.hpp"
#include "protocol/password_secret.hpp"
#include "protocol/saslprep.hpp"
#include "protocol/scram_client_fsm.hpp"
#include "protocol/scram_messages.hpp"
#include "protocol/scram_server_fsm.hpp"

namespace scram_fsm_test {

using namespace pgwire;
using namespace std::string_literals;

namespace {

using server_fsm = scram_server_fsm;
using client_fsm = scram_client_fsm;
using end_point = std::optional<std::string>;

const end_point no_tls;
const end_point tls = std::string("\x00\x01 certificate hash \xff", 21);
constexpr auto salt = "0123456789abcdef";
constexpr std::uint32_t few = 2;  // iterations: the tests have no time for 4096

scram_secret secret_of(std::string_view password) { return build_scram_secret(password, as_bytes(salt), few); }
server_fsm server_for(scram_secret secret, end_point channel = no_tls) {
  return {std::move(secret), "servernonce", std::move(channel)};
}
client_fsm client_offered(std::vector<std::string_view> offered, end_point channel = no_tls,
                          std::optional<scram_keys> keys = std::nullopt) {
  return {offered, "clientnonce", std::move(channel), std::move(keys)};
}

template <class Wanted, class Action>
Wanted get(Action action) {
  REQUIRE(std::holds_alternative<Wanted>(action));
  return std::get<Wanted>(std::move(action));
}
errc failure(const server_fsm::action& action) { return std::get<server_fsm::failed>(action).code; }
errc failure(const client_fsm::action& action) { return std::get<client_fsm::failed>(action).code; }

struct outcome {
  std::string mechanism;
  std::optional<errc> server;  // the failure at the server
  std::optional<errc> client;
  secret_key client_key;
};

// A whole exchange. The client knows `password`, or keys.
outcome exchange(server_fsm& server, client_fsm& client, std::string_view password = "pencil") {
  outcome result;
  const auto first = get<client_fsm::start>(client.initial());
  result.mechanism = first.mechanism;
  auto answer = server.on_initial(first.mechanism, first.client_first);
  if (const auto* failed = std::get_if<server_fsm::failed>(&answer)) {
    result.server = failed->code;
    return result;
  }
  auto step = client.on_continue(get<server_fsm::send_continue>(std::move(answer)).text);
  if (const auto* derive = std::get_if<client_fsm::derive>(&step)) {
    const auto prepared = saslprep(password);
    step = client.on_derived(salted_password(prepared.view(), as_bytes(derive->salt), derive->iterations));
  }
  if (const auto* failed = std::get_if<client_fsm::failed>(&step)) {
    result.client = failed->code;
    return result;
  }
  answer = server.on_response(get<client_fsm::send>(std::move(step)).client_final);
  if (const auto* failed = std::get_if<server_fsm::failed>(&answer)) {
    result.server = failed->code;
    return result;
  }
  const auto accepted = get<server_fsm::accepted>(std::move(answer));
  result.client_key = accepted.client_key;
  step = client.on_final(accepted.server_final);
  if (const auto* failed = std::get_if<client_fsm::failed>(&step)) result.client = failed->code;
  return result;
}

bool good(const outcome& result) { return !result.server && !result.client; }

// An honest client's words to a server with `channel`, with one thing of them replaced.
struct forged {
  std::string mechanism = std::string(scram_sha_256);
  std::string client_first = "n,,n=,r=clientnonce";
  std::string binding = "biws";
  std::string nonce = "clientnonceservernonce";
  bool good_proof = true;
};
server_fsm::action run(const forged& words, const end_point& channel = no_tls, std::string_view password = "pencil") {
  const auto secret = secret_of(password);
  auto server = server_for(secret, channel);
  auto action = server.on_initial(words.mechanism, words.client_first);
  if (!std::holds_alternative<server_fsm::send_continue>(action)) return action;
  const auto server_first = std::get<server_fsm::send_continue>(action).text;
  const auto keys = derive_keys(salted_password("pencil", as_bytes(salt), few));
  scram_client_final message{.binding_base64 = words.binding, .nonce = words.nonce};
  const auto bare = scram_client_first::decode(words.client_first)->bare;
  message.proof = client_proof(keys.client_key, auth_message(bare, server_first, message.encode_without_proof()));
  if (!words.good_proof) message.proof.writable()[31] ^= std::byte{1};
  return server.on_response(message.encode());
}

}  // namespace

TEST_CASE("the exchange of RFC 7677, section 3") {
  scram_secret secret =
      build_scram_secret("pencil", as_bytes("\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81"), 4096);
  scram_server_fsm server(secret, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", std::nullopt);
  const auto first =
      get<server_fsm::send_continue>(server.on_initial("SCRAM-SHA-256", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
  const auto nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"s;
  CHECK(first.text == "r=" + nonce + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
  const auto accepted = get<server_fsm::accepted>(
      server.on_response("c=biws,r=" + nonce + ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
  CHECK(accepted.server_final == "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
  CHECK((stored_key_of(accepted.client_key) == secret.stored_key));
}

TEST_CASE("a real secret of PostgreSQL's, by password and then by the keys that the proof gave away") {
  const auto text =
      "SCRAM-SHA-256$4096:pCwh9TGYZEOUAB+gTN6Kdw==$wtz/"
      "YuB17jTBex0HaRTdLP0F5I7vwiNgvJ0hwX8VcXI=:DTnqVuO03ZTPGpvLyDsmQwVUdiFWuBtcDz07pR8aCu4=";
  const auto secret = std::get<scram_secret>(parse_password_secret(text).value());
  auto lodge = server_for(secret);
  auto app = client_offered({scram_sha_256});
  const auto came_in = exchange(lodge, app, "p\u00e4ss\u2003w\u00f6rt\ufb01");
  REQUIRE(good(came_in));

  auto postgres = server_for(secret, tls);
  auto onward =
      client_offered({scram_sha_256_plus, scram_sha_256}, tls, scram_keys{came_in.client_key, secret.server_key});
  const auto passed_on = exchange(postgres, onward, "not used");
  CHECK(good(passed_on));
  CHECK(passed_on.mechanism == scram_sha_256_plus);
  CHECK((passed_on.client_key == came_in.client_key));
}

TEST_CASE("every channel that can be had is bound, and only that") {
  const auto tried = [](const end_point& at_server, const end_point& at_client, std::string_view password = "pencil") {
    auto server = server_for(secret_of("pencil"), at_server);
    auto client = client_offered(server.mechanisms(), at_client);
    return exchange(server, client, password);
  };
  for (const auto& [at_server, at_client, mechanism] : {std::tuple{no_tls, no_tls, scram_sha_256},
                                                        {tls, no_tls, scram_sha_256},
                                                        {no_tls, tls, scram_sha_256},
                                                        {tls, tls, scram_sha_256_plus}}) {
    const auto result = tried(at_server, at_client);
    CHECK(good(result));
    CHECK(result.mechanism == mechanism);
    CHECK((result.client_key == derive_keys(salted_password("pencil", as_bytes(salt), few)).client_key));
    CHECK(tried(at_server, at_client, "pencils").server == errc::wrong_password);
    CHECK(tried(at_server, at_client, "").server == errc::wrong_password);
  }
  CHECK(tried(tls, "another certificate").server == errc::scram_binding_mismatch);
  CHECK(tried(tls, "").server == errc::scram_binding_mismatch);
}

TEST_CASE("mechanisms on offer") {
  using names = std::vector<std::string_view>;
  CHECK(server_for(secret_of("x")).mechanisms() == names{"SCRAM-SHA-256"});
  CHECK(server_for(secret_of("x"), tls).mechanisms() == names{"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"});
  for (const auto* name : {"", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1", "scram-sha-256", "SCRAM-SHA-256 "}) {
    auto server = server_for(secret_of("x"));
    CHECK(failure(server.on_initial(name, "n,,n=,r=a")) == errc::unknown_sasl_mechanism);
  }
  for (const auto& offered : {names{}, names{"SCRAM-SHA-256-PLUS"}, names{"SCRAM-SHA-1", "OAUTHBEARER"}}) {
    auto client = client_offered(offered);
    CHECK(failure(client.initial()) == errc::unknown_sasl_mechanism);
  }
  auto only_plus = client_offered({"SCRAM-SHA-256-PLUS"}, tls);
  CHECK(get<client_fsm::start>(only_plus.initial()).mechanism == scram_sha_256_plus);
}

TEST_CASE("an offer taken away on its way is noticed") {
  auto server = server_for(secret_of("pencil"), tls);
  auto client = client_offered({scram_sha_256}, tls);  // a thief in the middle has taken -PLUS off the list
  CHECK(exchange(server, client).server == errc::scram_downgrade);
}

TEST_CASE("what clients forge") {
  CHECK(std::holds_alternative<server_fsm::accepted>(run({})));
  CHECK(failure(run({}, no_tls, "other")) == errc::wrong_password);
  CHECK(failure(run({.good_proof = false})) == errc::wrong_password);
  CHECK(failure(run({.nonce = "clientnonceservernoncf"})) == errc::scram_nonce_mismatch);
  CHECK(failure(run({.nonce = "clientnonce"})) == errc::scram_nonce_mismatch);
  CHECK(failure(run({.nonce = "clientnonceservernoncex"})) == errc::scram_nonce_mismatch);
  CHECK(failure(run({.binding = "eSws"})) == errc::scram_binding_mismatch);
  CHECK(failure(run({.binding = ""})) == errc::scram_binding_mismatch);
  CHECK(failure(run({.binding = "biws="})) == errc::scram_binding_mismatch);
  CHECK(failure(run({.client_first = "y,,n=,r=clientnonce"})) == errc::scram_binding_mismatch);
  CHECK(std::holds_alternative<server_fsm::accepted>(run({.client_first = "y,,n=,r=clientnonce", .binding = "eSws"})));
  CHECK(std::holds_alternative<server_fsm::accepted>(run({.client_first = "n,,n=postgres,r=clientnonce,x=y"})));
  CHECK(failure(run({.client_first = "n,a=postgres,n=,r=clientnonce"})) == errc::scram_authzid);
  CHECK(failure(run({.client_first = "n,,m=x,n=,r=clientnonce"})) == errc::scram_extension);
  CHECK(failure(run({.client_first = "n,,n=,r="})) == errc::malformed_scram);
  CHECK(failure(run({.client_first = ""})) == errc::malformed_scram);

  const auto plus = std::string(scram_sha_256_plus);
  CHECK(failure(run({.client_first = "p=tls-server-end-point,,n=,r=clientnonce"}, tls)) == errc::malformed_scram);
  CHECK(failure(run({.client_first = "p=tls-server-end-point,,n=,r=clientnonce"})) == errc::malformed_scram);
  CHECK(failure(run({.mechanism = plus}, tls)) == errc::malformed_scram);
  CHECK(failure(run({.mechanism = plus, .client_first = "y,,n=,r=clientnonce"}, tls)) == errc::malformed_scram);
  CHECK(failure(run({.mechanism = plus, .client_first = "p=tls-unique,,n=,r=clientnonce"}, tls)) ==
        errc::scram_binding_type);
  CHECK(failure(run({.mechanism = plus, .client_first = "p=tls-server-end-point,,n=,r=clientnonce"}, tls)) ==
        errc::scram_binding_mismatch);  // c= without the channel's data
}

TEST_CASE("a mock secret goes all the way, and fails like a wrong password") {
  const auto key = sha256(as_bytes("key"));
  auto server = server_for(mock_scram_secret(key, "nobody", few), tls);
  auto client = client_offered(server.mechanisms(), tls);
  CHECK(exchange(server, client).server == errc::wrong_password);

  auto right = secret_of("pencil");
  right.mock = true;
  auto doomed = server_for(right);
  auto knowing = client_offered({scram_sha_256});
  CHECK(exchange(doomed, knowing).server == errc::wrong_password);
  // And says no more than another about what is wrong with a message.
  auto other = server_for(mock_scram_secret(key, "nobody", few));
  CHECK(std::holds_alternative<server_fsm::send_continue>(other.on_initial(scram_sha_256, "n,,n=,r=a")));
  CHECK(failure(other.on_response("c=biws,r=a,p=AAAA")) == errc::malformed_scram);
}

TEST_CASE("a client that leaves out its first data is asked for them") {
  auto server = server_for(secret_of("pencil"));
  CHECK(get<server_fsm::send_continue>(server.on_initial(scram_sha_256, std::nullopt)).text.empty());
  CHECK(get<server_fsm::send_continue>(server.on_response("n,,n=,r=a")).text.starts_with("r=aservernonce,"));
  auto empty = server_for(secret_of("pencil"));
  CHECK(failure(empty.on_initial(scram_sha_256, "")) == errc::malformed_scram);
}

TEST_CASE("steps out of order at the server") {
  const auto misplaced = [](server_fsm& server) {
    // Whatever comes after the end fails, and nothing starts it again.
    for (int i = 0; i < 2; ++i) {
      CHECK(failure(server.on_response("n,,n=,r=a")) == errc::misplaced_message);
      CHECK(failure(server.on_initial(scram_sha_256, "n,,n=,r=a")) == errc::misplaced_message);
    }
  };
  auto early = server_for(secret_of("pencil"));
  misplaced(early);
  auto twice = server_for(secret_of("pencil"));
  get<server_fsm::send_continue>(twice.on_initial(scram_sha_256, "n,,n=,r=a"));
  CHECK(failure(twice.on_initial(scram_sha_256, "n,,n=,r=a")) == errc::misplaced_message);
  misplaced(twice);
  auto wrong = server_for(secret_of("pencil"));
  auto client = client_offered({scram_sha_256});
  CHECK(exchange(wrong, client, "wrong").server == errc::wrong_password);
  misplaced(wrong);
  auto right = server_for(secret_of("pencil"));
  auto knowing = client_offered({scram_sha_256});
  CHECK(good(exchange(right, knowing)));
  misplaced(right);
  auto unknown = server_for(secret_of("pencil"));
  CHECK(failure(unknown.on_initial("X", std::nullopt)) == errc::unknown_sasl_mechanism);
  misplaced(unknown);
}

TEST_CASE("steps out of order at the client") {
  const auto fresh = [](int steps) {
    auto client = client_offered({scram_sha_256});
    if (steps > 0) get<client_fsm::start>(client.initial());
    if (steps > 1) get<client_fsm::derive>(client.on_continue("r=clientnoncex,s=c2FsdA==,i=2"));
    if (steps > 2) get<client_fsm::send>(client.on_derived(secret_key()));
    if (steps > 3) CHECK(failure(client.on_final("e=no")) == errc::scram_server_error);
    return client;
  };
  for (int steps = 0; steps <= 4; ++steps) {
    for (int next = 0; next < 4; ++next) {
      if (next == steps) continue;
      auto client = fresh(steps);
      const auto action = next == 0   ? client.initial()
                          : next == 1 ? client.on_continue("r=clientnoncex,s=c2FsdA==,i=2")
                          : next == 2 ? client.on_derived(secret_key())
                                      : client.on_final("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
      CHECK(failure(action) == errc::misplaced_message);
      CHECK(failure(client.initial()) == errc::misplaced_message);
    }
  }
}

TEST_CASE("what a hostile server says") {
  const auto told = [](const std::string& server_first) {
    auto client = client_offered({scram_sha_256});
    get<client_fsm::start>(client.initial());
    return client.on_continue(server_first);
  };
  const auto derive = get<client_fsm::derive>(told("r=clientnoncex,s=AAFmZg==,i=1000000"));
  CHECK(derive.salt == "\0\1ff"s);
  CHECK(derive.iterations == most_scram_iterations);
  CHECK(failure(told("r=clientnoncex,s=c2FsdA==,i=1000001")) == errc::scram_iterations);
  CHECK(failure(told("r=clientnoncex,s=c2FsdA==,i=0")) == errc::scram_iterations);
  CHECK(failure(told("r=clientnonce,s=c2FsdA==,i=2")) == errc::scram_nonce_mismatch);
  CHECK(failure(told("r=clientnonc,s=c2FsdA==,i=2")) == errc::scram_nonce_mismatch);
  CHECK(failure(told("r=xclientnonce,s=c2FsdA==,i=2")) == errc::scram_nonce_mismatch);
  CHECK(failure(told("r=servernonce,s=c2FsdA==,i=2")) == errc::scram_nonce_mismatch);
  CHECK(failure(told("r=clientnonce" + std::string(1 << 20, 'x') + ",s=c2FsdA==,i=2")) == errc::malformed_scram);
  CHECK(failure(told("")) == errc::malformed_scram);

  // One that does not know the secret, and one that echoes the proof.
  const auto signed_by = [](const std::string& server_final) {
    auto client = client_offered({scram_sha_256}, no_tls, scram_keys{sha256(as_bytes("c")), sha256(as_bytes("s"))});
    get<client_fsm::start>(client.initial());
    const auto sent = get<client_fsm::send>(client.on_continue("r=clientnoncex,s=c2FsdA==,i=2")).client_final;
    return client.on_final(server_final.empty() ? "v=" + sent.substr(sent.find(",p=") + 3) : server_final);
  };
  CHECK(failure(signed_by("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")) == errc::server_not_genuine);
  CHECK(failure(signed_by("")) == errc::server_not_genuine);
  CHECK(failure(signed_by("e=invalid-proof")) == errc::scram_server_error);
  CHECK(failure(signed_by("v=")) == errc::malformed_scram);
}

TEST_CASE("keys of another secret are refused by the server, a wrong ServerKey by the client") {
  const auto secret = secret_of("pencil");
  auto keys = derive_keys(salted_password("pencil", as_bytes("another salt"), few));
  auto server = server_for(secret);
  auto client = client_offered({scram_sha_256}, no_tls, keys);
  CHECK(exchange(server, client).server == errc::wrong_password);
  keys = derive_keys(salted_password("pencil", as_bytes(salt), few));
  keys.server_key = secret_key();
  auto again = server_for(secret);
  auto doubting = client_offered({scram_sha_256}, no_tls, keys);
  CHECK(exchange(again, doubting).client == errc::server_not_genuine);
}

TEST_CASE("long passwords and passwords with zero bytes") {
  for (const auto& password : {std::string(1 << 20, 'x'), "pen\0cil"s, "\xff\xfe"s}) {
    const auto secret = secret_of(password);
    auto server = server_for(secret);
    auto client = client_offered({scram_sha_256});
    CHECK(good(exchange(server, client, password)));
    auto again = server_for(secret);
    auto wrong = client_offered({scram_sha_256});
    CHECK(exchange(again, wrong, password + "x").server == errc::wrong_password);
  }
}

}  // namespace scram_fsm_test
