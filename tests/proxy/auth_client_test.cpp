// Whole authentications over a socket, with a client that follows a script: who is let in, by what, and what the others
// are told.
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <catch2/catch.hpp>
#include <deque>
#include <future>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "protocol/backend_messages.hpp"
#include "protocol/frontend_messages.hpp"
#include "protocol/saslprep.hpp"
#include "protocol/scram_client_fsm.hpp"
#include "protocol/scram_messages.hpp"
#include "protocol/startup.hpp"
#include "proxy/auth/client_auth.hpp"

namespace auth_client_test {

using namespace proxy;
using conf::auth_method;
using pgwire::secret_string;
using pgwire::backend::authentication;
using kind = pgwire::backend::authentication::kind;
namespace frontend = pgwire::frontend;

namespace {

constexpr std::string_view right_password = "open sesame";

struct lodge {
  auth_tools tools;
  auth_throttle throttle;
  asio::io_context loop{1};
  slow_work computing{1};
  std::shared_ptr<auth_source> source;

  // Roles plain, md5 and scram, all with the same password, and most of the given kind: unknown ones are like them.
  explicit lodge(secret_kind most = secret_kind::scram) {
    const auto scram = pgwire::build_scram_secret(right_password, pgwire::as_bytes("0123456789abcdef"), 2);
    const std::string scram_text(pgwire::encode_scram_secret(scram).view());
    const std::string plain_text(right_password);
    // md5("open sesamemd5"), the role's name behind the password.
    const std::string md5_text = "md5ca8c5a3a697c1bfcf0b24830dc9b39ad";
    std::string file = "\"plain\" \"" + plain_text + "\"\n\"md5\" \"" + md5_text + "\"\n\"scram\" \"" + scram_text +
                       "\"\n\"locked\" \"\"\n";
    const std::string& more = most == secret_kind::plain ? plain_text
                              : most == secret_kind::md5 ? md5_text
                                                         : scram_text;
    for (const char* name : {"x", "y", "z"}) file += '"' + std::string(name) + "\" \"" + more + "\"\n";
    auto reading = parse_users(file, "users.txt");
    REQUIRE(reading.errors.empty());
    source = std::make_shared<auth_source>(tools, std::move(reading.users), nullptr);
  }
};

// One client, its connection, and the lodge's side of it.
class visit {
 public:
  visit(lodge& at, auth_request request) : at_(at), client_(at.loop) {
    int ends[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    client_.adopt(AF_UNIX, ends[0]);
    peer_ = ends[1];
    auth_.emplace(at.loop.get_executor(), at.computing, at.throttle, at.source, client_);
    asio::co_spawn(at.loop, run(std::move(request)), asio::detached);
  }
  ~visit() {
    hang_up();
    if (!result_) static_cast<void>(outcome());
  }
  visit(const visit&) = delete;
  visit& operator=(const visit&) = delete;

  // Also from another thread, which must not use the macros of Catch2. Who does not get through sees it by the verdict.
  void send(std::string_view bytes) { static_cast<void>(::send(peer_, bytes.data(), bytes.size(), MSG_NOSIGNAL)); }
  void hang_up() {
    if (peer_ >= 0) ::close(std::exchange(peer_, -1));
  }
  std::string unread() {
    std::string bytes(100, '\0');
    bytes.resize(client_.read_some(std::as_writable_bytes(std::span(bytes))).bytes);
    return bytes;
  }
  // As a session does: again and again, for a cancellation is lost on a wait that has not begun.
  void cancel() {
    for (const auto until = clock::now() + std::chrono::seconds(10); !result_ && clock::now() < until; turn()) {
      auth_->cancel();
      client_.cancel();
    }
  }

  // The next message, which must be of type R. Views in it are valid as long as the visit.
  authentication read() {
    std::string wire = take(5);
    wire += take(pgwire::load_u32(pgwire::as_bytes(wire).data() + 1) - 4);
    REQUIRE(wire.front() == authentication::type);
    const auto& kept = heard_.emplace_back(std::move(wire));
    return authentication::decode(pgwire::as_bytes(kept).subspan(5)).value();
  }

  // What it comes to.
  std::expected<auth_pass, ending>& outcome() {
    const auto until = clock::now() + std::chrono::seconds(10);
    while (!result_ && clock::now() < until) turn();
    REQUIRE(result_.has_value());
    return *result_;
  }
  // "SQLSTATE message", "in", or "quiet".
  std::string verdict() {
    const auto& result = outcome();
    if (result) return "in";
    if (!result.error().tell_client) return "quiet";
    return result.error().report.code + " " + result.error().report.message;
  }
  void turn() {
    at_.loop.restart();
    at_.loop.run_for(std::chrono::milliseconds(1));
  }
  // Types and lengths of what the client has heard.
  std::vector<std::pair<std::uint32_t, std::size_t>> shape() const {
    std::vector<std::pair<std::uint32_t, std::size_t>> all;
    all.reserve(heard_.size());
    for (const auto& one : heard_) all.emplace_back(pgwire::load_u32(pgwire::as_bytes(one).data() + 5), one.size());
    return all;
  }

 private:
  task<void> run(auth_request request) {
    auto got = co_await auth_->run(std::move(request));
    result_ = std::move(got);
  }

  std::string take(std::size_t count) {
    std::string bytes(count, '\0');
    std::size_t filled = 0;
    const auto until = clock::now() + std::chrono::seconds(10);
    while (filled < count && clock::now() < until) {
      const ssize_t n = ::recv(peer_, bytes.data() + filled, count - filled, MSG_DONTWAIT);
      if (n > 0) filled += static_cast<std::size_t>(n);
      if (n < 0) turn();
    }
    REQUIRE(filled == count);
    return bytes;
  }

  lodge& at_;
  transport client_;
  int peer_ = -1;
  std::optional<client_auth> auth_;
  std::optional<std::expected<auth_pass, ending>> result_;
  std::deque<std::string> heard_;
};

auth_request by(auth_method method, std::string_view role) {
  auth_request request;
  request.method = method;
  request.role = role;
  request.session = "session 1";
  return request;
}

std::string password_message(std::string_view text) { return frontend::password{text}.encode(); }

// A message of type p with this body.
std::string with_length(std::string_view body) {
  std::string bytes = "p";
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>((body.size() + 4) >> shift & 0xff);
  return bytes + std::string(body);
}

void answer_password(visit& client, std::string_view password) {
  CHECK(client.read().request == kind::cleartext_password);
  client.send(password_message(password));
}

void answer_md5(visit& client, std::string_view role, std::string_view password) {
  const auto question = client.read();
  CHECK(question.request == kind::md5_password);
  const pgwire::plain_secret own{secret_string(password)};
  const auto answer = pgwire::md5_answer(own, role, pgwire::as_bytes(question.data)).value();
  client.send(password_message(answer.view()));
}

using scram = pgwire::scram_client_fsm;

// The whole exchange if the password is right, else up to the proof. `end_point`: to bind to the channel.
void answer_scram(visit& client, std::string_view password, std::optional<std::string> end_point = std::nullopt) {
  const auto offer = client.read();
  REQUIRE(offer.request == kind::sasl);
  scram exchange(offer.mechanisms, "clientnonce", std::move(end_point), std::nullopt);
  const auto first = std::get<scram::start>(exchange.initial());
  client.send(frontend::sasl_initial_response{first.mechanism, first.client_first}.encode());
  const auto challenge = client.read();
  REQUIRE(challenge.request == kind::sasl_continue);
  const auto derive = std::get<scram::derive>(exchange.on_continue(challenge.data));
  const auto prepared = pgwire::saslprep(password);
  const auto salted = pgwire::salted_password(prepared.view(), pgwire::as_bytes(derive.salt), derive.iterations);
  client.send(frontend::sasl_response{std::get<scram::send>(exchange.on_derived(salted)).client_final}.encode());
  if (password != right_password) return;
  const auto last = client.read();
  REQUIRE(last.request == kind::sasl_final);
  CHECK(std::holds_alternative<scram::authenticated>(exchange.on_final(last.data)));
}

std::string wrong_for(std::string_view role) {
  return "28P01 password authentication failed for user \"" + std::string(role) + "\"";
}

std::string password_of(const std::expected<auth_pass, ending>& outcome) {
  return outcome && outcome->password ? std::string(outcome->password->view()) : "none";
}

// Whether it gives role md5's secret for logging in.
bool has_md5(const std::expected<auth_pass, ending>& outcome) {
  const auto* md5 = outcome && outcome->keys ? std::get_if<pgwire::md5_secret>(&*outcome->keys) : nullptr;
  return md5 != nullptr && md5->hex.view() == "ca8c5a3a697c1bfcf0b24830dc9b39ad";
}

}  // namespace

TEST_CASE("password: against secrets of every kind") {
  lodge at;
  const auto* role = GENERATE("plain", "md5", "scram");
  CAPTURE(role);
  {
    visit client(at, by(auth_method::password, role));
    answer_password(client, right_password);
    CHECK(client.verdict() == "in");
    CHECK(password_of(client.outcome()) == right_password);
  }
  for (const auto* wrong : {"open sesamE", "open sesame ", "x"}) {
    visit client(at, by(auth_method::password, role));
    answer_password(client, wrong);
    CHECK(client.verdict() == wrong_for(role));
  }
}

TEST_CASE("md5: plain and md5 secrets") {
  lodge at;
  const auto* role = GENERATE("plain", "md5");
  {
    visit client(at, by(auth_method::md5, role));
    answer_md5(client, role, right_password);
    CHECK(client.verdict() == "in");
    const bool plain = role == std::string_view("plain");
    CHECK(password_of(client.outcome()) == (plain ? right_password : "none"));
    CHECK(has_md5(client.outcome()) == !plain);
  }
  visit client(at, by(auth_method::md5, role));
  answer_md5(client, role, "wrong");
  CHECK(client.verdict() == wrong_for(role));
}

TEST_CASE("scram-sha-256: plain and SCRAM secrets; md5 holds the same exchange for the latter") {
  lodge at;
  const auto [method, role] = GENERATE(table<auth_method, std::string>(
      {{auth_method::scram_sha_256, "plain"}, {auth_method::scram_sha_256, "scram"}, {auth_method::md5, "scram"}}));
  CAPTURE(role);
  {
    visit client(at, by(method, role));
    answer_scram(client, right_password);
    CHECK(client.verdict() == "in");
    CHECK(password_of(client.outcome()) == (role == "plain" ? right_password : "none"));
    REQUIRE(client.outcome()->keys.has_value());
    const auto& keys = std::get<pgwire::scram_keys>(*client.outcome()->keys);
    const auto& secret = *(*at.source->users()->find(role))->scram_at_hand();
    CHECK(pgwire::stored_key_of(keys.client_key) == secret.stored_key);
    CHECK(keys.server_key == secret.server_key);
  }
  visit client(at, by(method, role));
  answer_scram(client, "wrong");
  CHECK(client.verdict() == wrong_for(role));
}

TEST_CASE("scram-sha-256 lets in no role whose secret is md5, whatever the password") {
  lodge at;
  const auto* password = GENERATE("open sesame ", "wrong");
  visit client(at, by(auth_method::scram_sha_256, "md5"));
  answer_scram(client, password);
  CHECK(client.verdict() == wrong_for("md5"));
}

TEST_CASE("roles that do not exist, or have no secret, hear what those hear who are wrong") {
  const auto like = GENERATE(secret_kind::plain, secret_kind::md5, secret_kind::scram);
  const auto method = GENERATE(auth_method::password, auth_method::md5, auth_method::scram_sha_256);
  lodge at(like);
  const std::string existing = like == secret_kind::plain ? "plain" : like == secret_kind::md5 ? "md5" : "scram";
  const auto heard = [&](const std::string& role) {
    visit client(at, by(method, role));
    if (method == auth_method::password) {
      answer_password(client, "wrong");
    } else if (method == auth_method::md5 && like != secret_kind::scram) {
      answer_md5(client, role, "wrong");
    } else {
      answer_scram(client, "wrong");
    }
    CHECK(client.verdict() == wrong_for(role));
    return client.shape();
  };
  const auto wrong = heard(existing);
  CHECK(heard("nobody") == wrong);
  CHECK(heard("nobody") == wrong);
  CHECK(heard("locked") == wrong);
}

TEST_CASE("a role that does not exist has the same salt each time") {
  lodge at;
  const auto salt_of = [&](const std::string& role) {
    visit client(at, by(auth_method::scram_sha_256, role));
    client.read();
    client.send(frontend::sasl_initial_response{"SCRAM-SHA-256", "n,,n=,r=abc"}.encode());
    const auto challenge = client.read();
    return std::string(pgwire::scram_server_first::decode(challenge.data).value().salt_base64);
  };
  const auto salt = salt_of("nobody");
  CHECK(salt_of("nobody") == salt);
  CHECK(salt_of("somebody") != salt);
}

TEST_CASE("channel binding") {
  lodge at;
  const std::string channel = "hash of the certificate";
  auto request = by(auth_method::scram_sha_256, "scram");
  request.end_point = channel;
  visit client(at, request);
  SECTION("both bind") {
    answer_scram(client, right_password, channel);
    CHECK(client.verdict() == "in");
  }
  SECTION("the client does not want to") {
    answer_scram(client, right_password);
    CHECK(client.verdict() == "in");
  }
  SECTION("the client is bound to another channel") {
    answer_scram(client, "wrong", "another");
    CHECK(client.verdict() == "28000 SCRAM channel binding check failed");
  }
  SECTION("the client was made to believe that there is none") {
    client.read();
    client.send(frontend::sasl_initial_response{"SCRAM-SHA-256", "y,,n=,r=abc"}.encode());
    CHECK(client.verdict() == "28000 SCRAM channel binding negotiation error");
  }
}

TEST_CASE("without TLS there is no channel binding to choose") {
  lodge at;
  visit client(at, by(auth_method::scram_sha_256, "scram"));
  CHECK(client.read().mechanisms == std::vector<std::string_view>{"SCRAM-SHA-256"});
  client.send(frontend::sasl_initial_response{"SCRAM-SHA-256-PLUS", "p=tls-server-end-point,,n=,r=abc"}.encode());
  CHECK(client.verdict() == "08P01 SASL mechanism is not supported");
}

TEST_CASE("cert: the common name is the role") {
  lodge at;
  auto request = by(auth_method::cert, "plain");
  SECTION("it is") {
    request.certificate = certificate_names{"plain", {}};
    visit client(at, request);
    CHECK(client.verdict() == "in");
    CHECK(password_of(client.outcome()) == right_password);  // known, for the server
  }
  SECTION("it is another's") {
    request.certificate = certificate_names{"plain2", {"plain"}};
    visit client(at, request);
    CHECK(client.verdict() == "28000 certificate authentication failed for user \"plain\"");
  }
  SECTION("no name") {
    request.certificate = certificate_names{};
    visit client(at, request);
    CHECK(client.verdict() == "28000 certificate authentication failed for user \"plain\"");
  }
  SECTION("no certificate") {
    visit client(at, request);
    CHECK(client.verdict() == "28000 connection requires a valid client certificate");
  }
}

TEST_CASE("trust asks nobody, reject lets nobody in") {
  lodge at;
  for (const auto* role : {"plain", "md5", "scram", "nobody"}) {
    visit client(at, by(auth_method::trust, role));
    CHECK(client.verdict() == "in");
    CHECK(password_of(client.outcome()) == (role == std::string_view("plain") ? right_password : "none"));
    CHECK(client.outcome()->keys.has_value() == (role == std::string_view("md5")));
    CHECK(has_md5(client.outcome()) == (role == std::string_view("md5")));
  }
  visit client(at, by(auth_method::reject, "plain"));
  CHECK(client.verdict() == "28000 the lodge's rules refuse the connection of user \"plain\"");
}

TEST_CASE("passwords of every shape") {
  lodge at;
  visit client(at, by(auth_method::password, "plain"));
  client.read();
  using namespace std::string_view_literals;
  SECTION("empty") {
    client.send(with_length("\0"sv));
    CHECK(client.verdict() == "28P01 empty password returned by client");
  }
  SECTION("without an end") {
    client.send(with_length("open sesame"));
    CHECK(client.verdict() == "08P01 missing string terminator in message");
  }
  SECTION("with a zero byte within") {
    client.send(with_length("open sesame\0x\0"sv));
    CHECK(client.verdict() == "08P01 unexpected bytes after the end of a message");
  }
  SECTION("no body at all") {
    client.send(with_length(""));
    CHECK(client.verdict() == "08P01 missing string terminator in message");
  }
  SECTION("as long as may be") {
    std::thread sending([&] { client.send(with_length(std::string(65534, 'x') + '\0')); });
    CHECK(client.verdict() == wrong_for("plain"));
    sending.join();
  }
  SECTION("a byte more") {
    client.send(with_length(std::string(65535, 'x') + '\0').substr(0, 5));
    CHECK(client.verdict() == "08P01 invalid message length");
  }
  SECTION("1 MiB") {
    client.send("p\x00\x10\x00\x04xxxx"sv);
    CHECK(client.verdict() == "08P01 invalid message length");
  }
  SECTION("beyond all measure") {
    client.send("p\xff\xff\xff\xff"sv);
    CHECK(client.verdict() == "08P01 invalid message length");
  }
  SECTION("a length that is none") {
    client.send("p\x00\x00\x00\x03"sv);
    CHECK(client.verdict() == "08P01 invalid message length");
  }
}

TEST_CASE("any other message in mid-exchange is a violation, as soon as its first byte is there") {
  const auto method = GENERATE(auth_method::password, auth_method::md5, auth_method::scram_sha_256);
  const std::string message = GENERATE_COPY(pgwire::encode_startup({3, 0}, {{"user", "scram"}, {"database", "crm"}}),
                                            frontend::query{"SELECT 1"}.encode(), frontend::terminate{}.encode(),
                                            frontend::sync{}.encode(), std::string("\0", 1));
  lodge at(secret_kind::plain);
  const bool later = GENERATE(false, true);
  const bool by_scram = method == auth_method::scram_sha_256;
  if (later && !by_scram) return;
  visit client(at, by(method, "plain"));
  client.read();
  if (later) {
    client.send(frontend::sasl_initial_response{"SCRAM-SHA-256", "n,,n=,r=abc"}.encode());
    client.read();
  }
  client.send(message);
  CHECK(client.verdict() == "08P01 message does not belong here");
}

namespace {

// A whole exchange by hand, with one message replaced.
std::string verdict_with(lodge& at, const std::string& first, const std::optional<std::string>& last) {
  visit client(at, by(auth_method::scram_sha_256, "scram"));
  client.read();
  client.send(first);
  if (last) {
    client.read();
    client.send(*last);
  }
  return client.verdict();
}

}  // namespace

TEST_CASE("SASL messages cut at every byte let nobody in") {
  lodge at;
  const std::string initial = frontend::sasl_initial_response{"SCRAM-SHA-256", "n,,n=,r=abc"}.encode();
  for (std::size_t size = 0; size < initial.size() - 5; ++size) {
    const auto verdict = verdict_with(at, with_length(initial.substr(5, size)), std::nullopt);
    CAPTURE(size, verdict);
    CHECK(verdict.starts_with("08P01"));
  }
  const std::string final_text = "c=biws,r=abcdef,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
  for (std::size_t size = 0; size <= final_text.size(); ++size) {
    const auto verdict = verdict_with(at, initial, with_length(final_text.substr(0, size)));
    CAPTURE(size, verdict);
    CHECK(verdict.starts_with("08P01"));
  }
}

TEST_CASE("SASL messages of every size") {
  lodge at;
  const auto initial = [&](std::string_view data) {
    return verdict_with(at, frontend::sasl_initial_response{"SCRAM-SHA-256", data}.encode(), std::nullopt);
  };
  CHECK(initial("n,,n=,r=") == "08P01 malformed SCRAM message");
  CHECK(initial("n,,n=,r=" + std::string(257, 'x')) == "08P01 malformed SCRAM message");
  CHECK(initial("n,,n=,r=" + std::string(2000, 'x')) == "08P01 invalid message length");
  CHECK(initial("") == "08P01 malformed SCRAM message");
  CHECK(initial("n,a=other,n=,r=abc") == "0A000 authorization identity is not supported");
  CHECK(verdict_with(at, frontend::sasl_initial_response{"PLAIN", "\0a\0b"}.encode(), std::nullopt) ==
        "08P01 SASL mechanism is not supported");
}

TEST_CASE("a client may leave out its first words, and send byte by byte") {
  lodge at;
  visit client(at, by(auth_method::scram_sha_256, "scram"));
  client.read();
  for (const char c : frontend::sasl_initial_response{"SCRAM-SHA-256", std::nullopt}.encode()) {
    client.send({&c, 1});
    client.turn();
  }
  CHECK(client.read().data.empty());
  client.send(frontend::sasl_response{"n,,n=,r=abc"}.encode());
  CHECK(client.read().data.starts_with("r=abc"));
}

TEST_CASE("what comes behind the answer stays in the socket") {
  lodge at;
  auto request = by(auth_method::password, "plain");
  visit client(at, request);
  client.read();
  client.send(password_message(right_password) + frontend::query{"SELECT 1"}.encode());
  CHECK(client.verdict() == "in");
  CHECK(client.unread() == frontend::query{"SELECT 1"}.encode());
}

TEST_CASE("a client that leaves, and a session that ends") {
  lodge at;
  visit client(at, by(auth_method::scram_sha_256, "scram"));
  client.read();
  SECTION("it closes") { client.hang_up(); }
  SECTION("within a message") {
    client.send("p\x00");
    client.turn();
    client.hang_up();
  }
  SECTION("its wait is cancelled") { client.cancel(); }
  CHECK(client.verdict() == "quiet");
}

TEST_CASE("many failures delay the next attempt from there, and a cancelled delay is quiet") {
  lodge at;
  auto request = by(auth_method::password, "plain");
  request.peer = conf::parse_ip("192.0.2.1").value();
  const auto begin = clock::now();
  for (int i = 0; i < 3; ++i) {
    visit client(at, request);
    answer_password(client, "wrong");
    CHECK(client.verdict() == wrong_for("plain"));
  }
  {
    visit client(at, request);
    answer_password(client, right_password);
    CHECK(client.verdict() == "in");
    CHECK(clock::now() - begin >= failure_delays::first_delay);
  }
  for (int i = 0; i < 2; ++i) at.throttle.failed(applicant_of(request.peer, request.role), clock::now());
  visit cancelled(at, request);
  cancelled.turn();
  cancelled.cancel();
  CHECK(cancelled.verdict() == "quiet");
  request.peer = conf::parse_ip("192.0.2.2").value();
  visit other(at, request);
  answer_password(other, right_password);
  CHECK(other.verdict() == "in");
}

TEST_CASE("of guesses that are under way side by side only those are told that are free of delay") {
  const auto method = GENERATE(auth_method::password, auth_method::md5, auth_method::scram_sha_256);
  lodge at(secret_kind::plain);
  auto request = by(method, "plain");
  request.peer = conf::parse_ip("192.0.2.1").value();
  std::deque<visit> guessers;
  const auto answer = [&](visit& client, std::string_view password) {
    if (method == auth_method::password) return answer_password(client, password);
    if (method == auth_method::md5) return answer_md5(client, "plain", password);
    answer_scram(client, password);
  };
  for (int i = 0; i < 5; ++i) guessers.emplace_back(at, request).turn();  // all have begun
  const auto begin = clock::now();
  for (int i = 0; i < 4; ++i) {
    answer(guessers[static_cast<std::size_t>(i)], "wrong");
    CHECK(guessers[static_cast<std::size_t>(i)].verdict() == wrong_for("plain"));
  }
  CHECK(clock::now() - begin >= failure_delays::first_delay);
  answer(guessers[4], right_password);
  CHECK(guessers[4].verdict() == "in");
  CHECK(clock::now() - begin >= failure_delays::first_delay * 3);
}

TEST_CASE("when too many passwords are being checked, one more is refused") {
  lodge at;
  std::promise<void> go;
  auto block = [wait = go.get_future()]() noexcept { wait.wait(); };
  const bool blocks = at.computing.try_post(std::move(block));
  REQUIRE(blocks);
  while (at.computing.try_post([]() noexcept {})) {
  }
  {
    visit client(at, by(auth_method::password, "scram"));
    answer_password(client, right_password);
    CHECK(client.verdict() == "53300 too many authentications are under way");
  }
  {
    visit client(at, by(auth_method::scram_sha_256, "plain"));  // its SCRAM secret has yet to be built
    CHECK(client.verdict() == "53300 too many authentications are under way");
  }
  go.set_value();
}

}  // namespace auth_client_test
