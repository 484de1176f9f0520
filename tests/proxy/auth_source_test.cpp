// Where secrets come from: the users file, and auth.query at a server that answers by a script, as it should and
// otherwise. The server is a thread with a socket; libpq and its deadlines are the real ones.
#include "proxy/auth/auth_source.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <catch2/catch.hpp>
#include <functional>
#include <thread>

#include "conf/load.hpp"
#include "protocol/backend_messages.hpp"
#include "protocol/error_response.hpp"
#include "protocol/frontend_messages.hpp"
#include "protocol/startup.hpp"
#include "proxy/auth/auth_loading.hpp"

namespace auth_source_test {

using namespace proxy;
using namespace std::chrono_literals;
namespace backend = pgwire::backend;
namespace frontend = pgwire::frontend;

namespace {

// What the fake server sends for a role that is asked for; an empty text: nothing, ever.
using script = std::function<std::string(const std::string& role)>;

using row = std::vector<std::optional<std::string_view>>;

std::string rows(const std::vector<row>& all, std::size_t columns = 2) {
  backend::row_description shape;
  shape.fields.resize(columns);
  for (auto& field : shape.fields) {
    field.name = "c";
    field.type_oid = 25;
  }
  std::string answer = shape.encode();
  for (const row& one : all) answer += backend::data_row{one}.encode();
  return answer + backend::command_complete{"SELECT 1"}.encode();
}

std::string error(std::string_view state) {
  return pgwire::encode_error({"ERROR", std::string(state), "geheim of the server", {}, {}});
}

class fake_server {
 public:
  explicit fake_server(script answer, bool is_standby = false) : answer_(std::move(answer)), is_standby_(is_standby) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    REQUIRE(::listen(listener_, 8) == 0);
    socklen_t size = sizeof address;
    REQUIRE(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { accept_all(); });
  }
  ~fake_server() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    for (auto& one : sessions_) one.join();
    ::close(listener_);
  }
  fake_server(const fake_server&) = delete;
  fake_server& operator=(const fake_server&) = delete;

  [[nodiscard]] routing::host where() const { return {"127.0.0.1", port_}; }
  [[nodiscard]] int connections() const { return connections_; }
  [[nodiscard]] int questions() const { return questions_; }
  void close_all() { ++epoch_; }
  std::string last_startup() {
    const std::scoped_lock lock(mutex_);
    return startup_;
  }
  std::string last_sql() {
    const std::scoped_lock lock(mutex_);
    return sql_;
  }

 private:
  struct peer {
    fake_server& server;
    int fd;
    int epoch;
    [[nodiscard]] bool fill(char* at, std::size_t count) const {
      while (count > 0) {
        pollfd one{fd, POLLIN, 0};
        if (server.stopping_ || server.epoch_ != epoch) return false;
        if (::poll(&one, 1, 5) <= 0) continue;
        const ssize_t n = ::recv(fd, at, count, 0);
        if (n <= 0) return false;
        at += n;
        count -= static_cast<std::size_t>(n);
      }
      return true;
    }
    [[nodiscard]] std::optional<std::string> body() const {
      std::string length(4, '\0');
      if (!fill(length.data(), 4)) return std::nullopt;
      std::string body(pgwire::load_u32(pgwire::as_bytes(length).data()) - 4, '\0');
      if (!fill(body.data(), body.size())) return std::nullopt;
      return body;
    }
    void send(const std::string& bytes) const {
      static_cast<void>(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    }
  };

  void accept_all() {
    while (!stopping_) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      ++connections_;
      sessions_.emplace_back([this, fd] {
        serve({*this, fd, epoch_});
        ::close(fd);
      });
    }
  }

  void serve(const peer& client) {
    const auto first = client.body();
    if (!first) return;
    {
      const std::scoped_lock lock(mutex_);
      startup_ = *first;
    }
    client.send(backend::authentication{}.encode() + backend::parameter_status{"server_version", "15.0"}.encode() +
                backend::parameter_status{"default_transaction_read_only", "off"}.encode() +
                backend::parameter_status{"in_hot_standby", is_standby_ ? "on" : "off"}.encode() +
                backend::ready_for_query{}.encode());
    std::string role;
    for (char type = 0; client.fill(&type, 1);) {
      const auto body = client.body();
      if (!body || type == 'X') return;
      if (type == 'P') {
        const std::scoped_lock lock(mutex_);
        sql_ = frontend::parse::decode(pgwire::as_bytes(*body)).value().query;
      }
      if (type == 'B') {
        role = std::string(frontend::bind::decode(pgwire::as_bytes(*body)).value().parameters.at(0).value());
      }
      if (type != 'S') continue;
      ++questions_;
      const std::string answer = answer_(role);
      if (answer.empty()) continue;
      client.send(backend::parse_complete{}.encode() + backend::bind_complete{}.encode() + answer +
                  backend::ready_for_query{}.encode());
    }
  }

  script answer_;
  bool is_standby_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> connections_ = 0, questions_ = 0, epoch_ = 0;
  std::mutex mutex_;
  std::string startup_, sql_;
  std::thread thread_;
  std::vector<std::thread> sessions_;
};

role_query_settings asking(std::vector<routing::host> hosts) {
  role_query_settings settings;
  settings.database = "shared";
  settings.hosts = std::move(hosts);
  settings.dbname = "saas";
  settings.user = "pglodge_auth";
  settings.password = pgwire::secret_string(std::string_view("unused"));
  settings.sql = "SELECT a, b FROM c WHERE d = $1";
  settings.connect_timeout = 1s;
  return settings;
}

// The password that a role has, "none", or what failed.
std::string asked(role_query& query, const std::string& role) {
  const auto answer = query.ask(role, {});
  if (!answer) return answer.error();
  if (!answer->remark.empty()) return answer->remark;
  if (!answer->secret) return "none";
  const auto* plain = std::get_if<pgwire::plain_secret>(&*answer->secret);
  return plain != nullptr ? std::string(plain->password.view()) : "another kind";
}

const script honest = [](const std::string& role) { return role == "app" ? rows({{"app", "open sesame"}}) : rows({}); };

}  // namespace

TEST_CASE("one row is an answer, none as well") {
  fake_server server(honest);
  role_query query(asking({server.where()}));
  CHECK(asked(query, "app") == "open sesame");
  CHECK(asked(query, "nobody") == "none");
  CHECK(asked(query, "app") == "open sesame");
  CHECK(server.connections() == 1);  // kept
  CHECK(server.last_sql() == "SELECT a, b FROM c WHERE d = $1");
  const std::string startup = server.last_startup();
  using namespace std::string_view_literals;
  for (const auto part : {"user\0pglodge_auth\0"sv, "database\0saas\0"sv, "application_name\0pglodge-auth\0"sv,
                          "options\0-c search_path=pg_catalog -c statement_timeout=5000ms\0"sv}) {
    CHECK(startup.contains(part));
  }
  CHECK_FALSE(startup.contains("app\0"sv));
}

TEST_CASE("names that can be no role's are not asked for") {
  fake_server server([](const std::string& role) { return rows({{role, "x"}}); });
  role_query query(asking({server.where()}));
  CHECK(asked(query, "") == "none");
  CHECK(asked(query, std::string(64, 'x')) == "none");
  CHECK(asked(query, std::string("a\0b", 3)) == "none");
  CHECK(server.connections() == 0);
  CHECK(asked(query, std::string(63, 'x')) == "x");
  CHECK(asked(query, "'; DROP TABLE users; --") == "x");
}

TEST_CASE("what an answer may not be") {
  const auto [answer, says] = GENERATE(table<std::string, std::string>({
      {rows({{"app", std::nullopt}}), "none"},
      {error("22021"), "none"},
      {rows({{"app", ""}}), "the role's secret cannot be used"},
      {rows({{"app", "SCRAM-SHA-256$0:AAAA$AAAA:AAAA"}}), "the role's secret cannot be used"},
      {rows({{"app", "a"}, {"app", "b"}}), "auth.query failed: it gives more than one row"},
      {rows({{"other", "a"}}), "auth.query failed: it gives the row of another role"},
      {rows({{std::nullopt, "a"}}), "auth.query failed: it gives the row of another role"},
      {rows({{"app"}}, 1), "auth.query failed: it gives 1 column(s), where name and secret must be"},
      {rows({}, 1), "auth.query failed: it gives 1 column(s), where name and secret must be"},
      {rows({{"app", "a", "b"}}, 3), "auth.query failed: it gives 3 column(s), where name and secret must be"},
      {backend::no_data{}.encode() + backend::command_complete{"LISTEN"}.encode(),
       "auth.query failed: it gives no rows"},
      {error("42501"), "auth.query failed: ERROR:  geheim of the server"},
  }));
  fake_server server([&](const std::string&) { return answer; });
  role_query query(asking({server.where()}));
  CHECK(asked(query, "app") == says);
}

TEST_CASE("a server that hangs is given up") {
  fake_server server([](const std::string&) { return std::string(); });
  role_query query(asking({server.where()}));
  const auto begin = clock::now();
  CHECK(asked(query, "app") == "auth.query failed: no answer in time");
  CHECK(clock::now() - begin < role_query::query_timeout + 2s);
}

TEST_CASE("a server that cannot be reached, for a while not even tried again") {
  std::optional<fake_server> server(std::in_place, honest);
  const auto gone = server->where();
  server.reset();
  role_query query(asking({gone}));
  const std::string first = asked(query, "app");
  CHECK(first.starts_with("database \"shared\" could not be reached for auth.query: 127.0.0.1:"));
  CHECK(asked(query, "app") == first);
}

TEST_CASE("the host that is a primary is asked, and remembered") {
  fake_server standby(honest, true), primary(honest);
  role_query query(asking({standby.where(), primary.where()}));
  CHECK(asked(query, "app") == "open sesame");
  CHECK(standby.connections() == 1);
  primary.close_all();
  CHECK(asked(query, "app") == "open sesame");
  CHECK(standby.connections() == 1);
  CHECK(primary.connections() == 2);
}

TEST_CASE("connections that are not used are closed") {
  fake_server server(honest);
  role_query query(asking({server.where()}));
  CHECK(asked(query, "app") == "open sesame");
  query.close_idle(clock::now() + 30s);
  CHECK(asked(query, "app") == "open sesame");
  CHECK(server.connections() == 1);
  query.close_idle(clock::now() + 60s);
  CHECK(asked(query, "app") == "open sesame");
  CHECK(server.connections() == 2);
}

namespace {

struct finder {
  auth_tools tools;
  asio::io_context loop{1};
  std::shared_ptr<auth_source> source;

  finder(std::string_view users, std::unique_ptr<role_query> query)
      : source(std::make_shared<auth_source>(tools, parse_users(users, "users.txt").users, std::move(query))) {}
  ~finder() { tools.close(); }

  struct search {
    std::weak_ptr<wait_point> waits_at;
    std::optional<auth_source::finding> found;
  };
  std::shared_ptr<search> begin(std::string_view role) {
    auto one = std::make_shared<search>();
    asio::co_spawn(loop, run(std::string(role), one), asio::detached);
    loop.restart();
    loop.poll();
    return one;
  }
  auth_source::finding& end(search& one) {
    const auto until = clock::now() + 10s;
    while (!one.found && clock::now() < until) {
      loop.restart();
      loop.run_for(1ms);
    }
    REQUIRE(one.found.has_value());
    return *one.found;
  }
  auth_source::finding find(std::string_view role) { return end(*begin(role)); }
  // "mock", the plain password, or what failed.
  std::string says(std::string_view role) {
    const auto found = find(role);
    if (!found) return found.error() == auth_source::failure::unavailable ? "unavailable" : "cancelled";
    if ((*found)->is_mock()) return "mock";
    return std::string(std::get<pgwire::plain_secret>((*found)->secret()).password.view());
  }

 private:
  task<void> run(std::string role, std::shared_ptr<search> one) {
    auto found = co_await source->find(loop.get_executor(), std::move(role), one->waits_at);
    one->found = std::move(found);
  }
};

}  // namespace

TEST_CASE("without a query the users file is all there is") {
  finder at("\"app\" \"open sesame\"\n\"locked\" \"\"\n", nullptr);
  CHECK(at.says("app") == "open sesame");
  CHECK(at.says("locked") == "mock");
  CHECK(at.says("nobody") == "mock");
  CHECK(at.find("nobody") == at.find("nobody"));  // the same mock, with its SCRAM secret
  CHECK(at.find("nobody").value()->kind() == secret_kind::plain);
  CHECK(at.source->known_password("app")->view() == "open sesame");
  CHECK(at.source->known_password("locked") == nullptr);
  CHECK(at.source->known_password("nobody") == nullptr);
}

TEST_CASE("the users file comes first, then the query, whose answers are kept") {
  fake_server server(
      [](const std::string& role) { return role == "app" ? rows({{"app", "of the server"}}) : rows({}); });
  finder at("\"filed\" \"of the file\"\n\"locked\" \"\"\n", std::make_unique<role_query>(asking({server.where()})));
  CHECK(at.says("filed") == "of the file");
  CHECK(at.says("locked") == "mock");
  CHECK(server.questions() == 0);
  CHECK(at.says("app") == "of the server");
  CHECK(at.says("app") == "of the server");
  CHECK(at.says("nobody") == "mock");
  CHECK(at.says("nobody") == "mock");
  CHECK(server.questions() == 2);
  CHECK(at.source->known_password("app") == nullptr);
}

namespace {

std::string scram_text(std::uint32_t iterations) {
  const auto secret = pgwire::build_scram_secret("x", pgwire::as_bytes("0123456789abcdef"), iterations);
  return std::string(pgwire::encode_scram_secret(secret).view());
}

}  // namespace

TEST_CASE("with a query mocks are SCRAM, whatever the server's roles are like") {
  const auto [users, iterations] = GENERATE(table<std::string, std::uint32_t>(
      {{"\"asker\" \"its password\"\n", 4096}, {"\"asker\" \"" + scram_text(7) + "\"\n", 7}}));
  fake_server server([](const std::string& role) {
    return role == "many" ? rows({{role, scram_text(5)}}) : role == "app" ? rows({{role, "plain"}}) : rows({});
  });
  finder at(users, std::make_unique<role_query>(asking({server.where()})));
  for (const auto* real : {"app", "many", "app"}) {
    const std::string unknown = "nobody of " + std::to_string(server.questions());
    CHECK_FALSE(at.find(real).value()->is_mock());
    const auto mock = at.find(unknown).value();
    CHECK(mock->is_mock());
    CHECK(mock->kind() == secret_kind::scram);
    REQUIRE(mock->scram_at_hand() != nullptr);
    CHECK(mock->scram_at_hand()->iterations == iterations);
  }
}

TEST_CASE("a doubted answer is asked for again, no sooner than a second after it came") {
  std::atomic<bool> is_changed = false;
  fake_server server([&](const std::string& role) {
    return role == "nobody" ? rows({}) : rows({{role, is_changed ? "new" : "old"}});
  });
  finder at("\"filed\" \"of the file\"\n", std::make_unique<role_query>(asking({server.where()})));
  CHECK(at.says("app") == "old");
  const auto begin = clock::now();
  is_changed = true;
  int doubts = 0;
  while (at.says("app") == "old" && clock::now() < begin + 9s) {
    at.source->doubt("app");
    ++doubts;
  }
  CHECK(clock::now() - begin >= auth_source::least_doubted_age - 100ms);
  CHECK(clock::now() - begin < 9s);
  CHECK(doubts > 2);
  CHECK(server.questions() == 2);
  at.source->doubt("filed");
  CHECK(at.says("filed") == "of the file");
}

TEST_CASE("the SCRAM secrets of plain passwords are built ahead, and taken over by the next source") {
  std::string users = "\"locked\" \"\"\n\"md5\" \"md5ca8c5a3a697c1bfcf0b24830dc9b39ad\"\n";
  for (int i = 0; i < 20; ++i) users += "\"app" + std::to_string(i) + "\" \"open sesame\"\n";
  finder at(users, nullptr);
  CHECK(at.source->users()->without_scram().size() == 21);
  at.source->build_ahead();
  const auto until = clock::now() + 10s;
  while (!at.source->users()->without_scram().empty() && clock::now() < until) std::this_thread::yield();
  CHECK(at.source->users()->without_scram().empty());

  at.tools.asking.close();  // nothing is built any more
  users += "\"new\" \"open sesame\"\n";
  const auto next = std::make_shared<auth_source>(at.tools, parse_users(users, "users.txt").users, nullptr);
  next->build_ahead();
  const auto left = next->users()->without_scram();
  CHECK(left.size() == 2);  // md5 secrets take no time
}

TEST_CASE("those who ask for the same role at the same time share a question") {
  std::atomic<bool> go = false;
  fake_server server([&](const std::string& role) {
    while (!go) std::this_thread::yield();
    return honest(role);
  });
  finder at("", std::make_unique<role_query>(asking({server.where()})));
  std::vector<std::shared_ptr<finder::search>> all;
  all.resize(20);
  for (auto& one : all) one = at.begin("app");
  CHECK_FALSE(all.front()->found.has_value());

  SECTION("and its answer") { go = true; }
  SECTION("one that gives up leaves the others waiting") {
    all.back()->waits_at.lock()->cancel();
    CHECK(at.end(*all.back()) == std::unexpected(auth_source::failure::cancelled));
    all.pop_back();
    go = true;
  }
  for (const auto& one : all) CHECK((*at.end(*one))->kind() == secret_kind::plain);
  CHECK(server.questions() == 1);
}

TEST_CASE("a failed query is no answer, and is asked again") {
  std::atomic<bool> fails = true;
  fake_server server([&](const std::string& role) { return fails ? error("42501") : honest(role); });
  finder at("", std::make_unique<role_query>(asking({server.where()})));
  CHECK(at.says("app") == "unavailable");
  CHECK(at.says("nobody") == "unavailable");
  fails = false;
  CHECK(at.says("app") == "open sesame");
}

TEST_CASE("a lodge that closes while questions are open") {
  fake_server server([](const std::string&) { return std::string(); });
  auto settings = asking({server.where()});
  finder at("", std::make_unique<role_query>(std::move(settings)));
  std::vector<std::shared_ptr<finder::search>> all;
  all.resize(10);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = at.begin("role" + std::to_string(i));
  const auto begin = clock::now();
  at.tools.close();
  CHECK(clock::now() - begin < 2s);  // it does not wait for the server
  CHECK(at.says("another") == "unavailable");
}

TEST_CASE("how auth.query is asked follows from the configuration") {
  routing::table_parts parts;
  auto server = std::make_shared<routing::server>();
  server->name = "main";
  server->hosts = {{"pg1", 5432}};
  server->user = "pglodge_auth";
  const auto database = [&](const char* name, std::optional<std::string_view> dbname) {
    auto made = std::make_shared<routing::database>();
    made->name = name;
    made->server = server;
    if (dbname) made->dbname = routing::name_template::parse(*dbname, {"tenant"}).value();
    parts.databases.emplace(name, made);
  };
  database("shared", "saas");
  database("dedicated", "crm_{tenant}");
  database("anybody's", std::nullopt);
  const auto settings = [&](const char* name, std::string_view users = {}, const char* user = "pglodge_auth") {
    const pgwire::secret_string of_file(std::string_view("of the file"));
    const routing::route_table routes(parts);
    const auto table = parse_users(users, "users.txt").users;
    return query_settings({name, user, "SELECT"}, {}, routes, table.get(), &of_file);
  };
  CHECK(settings("shared")->dbname == "saas");
  CHECK(settings("shared")->password->view() == "of the file");
  CHECK(settings("shared", "\"pglodge_auth\" \"of the users\"\n")->password->view() == "of the users");
  CHECK_FALSE(settings("shared", "", "another")->password);
  CHECK(settings("shared", "\"another\" \"its own\"\n", "another")->password->view() == "its own");
  CHECK(settings("none").error().starts_with("auth.query.database: \"none\" is no entry of `databases`"));
  CHECK(settings("dedicated").error().contains("has no one dbname"));
  CHECK(settings("anybody's").error().contains("has no one dbname"));
  server->tls = routing::tls_mode::verify_full;
  CHECK(settings("shared").error().contains("write its tls.ca"));
  server->tls_ca = "ca.crt";
  CHECK(settings("shared")->tls_ca == "ca.crt");
}

}  // namespace auth_source_test
