// The tracker is fed with messages as they stand in the protocol chapter's flows, and asked when the session is idle.
#include "proxy/session/traffic_tracker.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace traffic_tracker_test {

namespace {

std::string message(char type, std::string_view body = {}) {
  const auto length = static_cast<std::uint32_t>(body.size() + 4);
  std::string made(1, type);
  for (int shift = 24; shift >= 0; shift -= 8) made += static_cast<char>(length >> shift & 0xFF);
  return made += body;
}

std::string ready(char status) { return message('Z', std::string(1, status)); }

std::string error(std::string_view severity) {
  std::string body = "S";
  body += severity;
  body += '\0';
  body += "V";
  body += severity;
  body += '\0';
  body += std::string("C57P01\0Mgone\0\0", 14);
  return message('E', body);
}

struct session {
  proxy::traffic_tracker tracker;

  void client(const std::string& bytes) {
    const auto seen = tracker.from_client(std::as_bytes(std::span(bytes)));
    CHECK(seen.forward == bytes.size());
    CHECK_FALSE(seen.fault);
  }
  void server(const std::string& bytes) {
    const auto seen = tracker.from_server(std::as_bytes(std::span(bytes)));
    CHECK(seen.forward == bytes.size());
    CHECK_FALSE(seen.fault);
  }
  [[nodiscard]] bool idle() const { return tracker.idle(); }
};

const std::string copy_in = message('G', std::string("\0\0\1\0\0", 5));
const std::string done = message('C', std::string("SELECT 1\0", 9));

}  // namespace

TEST_CASE("a query keeps the session busy until its ReadyForQuery") {
  session s;
  CHECK(s.idle());
  s.client(message('Q', std::string("SELECT 1\0", 9)));
  CHECK_FALSE(s.idle());
  s.server(done);
  CHECK_FALSE(s.idle());
  s.server(ready('I'));
  CHECK(s.idle());
}

TEST_CASE("two queries sent at once take two answers") {
  session s;
  s.client(message('Q', std::string("a\0", 2)) + message('Q', std::string("b\0", 2)));
  s.server(ready('I'));
  CHECK_FALSE(s.idle());
  s.server(ready('I'));
  CHECK(s.idle());
}

TEST_CASE("an open or failed transaction is not idle") {
  session s;
  s.client(message('Q', std::string("BEGIN\0", 6)));
  s.server(ready('T'));
  CHECK_FALSE(s.idle());
  s.client(message('Q', std::string("x\0", 2)));
  s.server(error("ERROR") + ready('E'));
  CHECK_FALSE(s.idle());
  s.client(message('Q', std::string("ROLLBACK\0", 9)));
  s.server(ready('I'));
  CHECK(s.idle());
}

TEST_CASE("extended messages keep the session busy until their Sync is answered") {
  session s;
  s.client(message('P', std::string("\0SELECT 1\0\0\0", 12)));
  CHECK_FALSE(s.idle());
  s.client(message('H'));
  s.server(message('1'));
  CHECK_FALSE(s.idle());
  s.client(message('S'));
  s.server(ready('I'));
  CHECK(s.idle());
}

TEST_CASE("COPY in by a simple query") {
  session s;
  s.client(message('Q', std::string("COPY t FROM STDIN\0", 18)));
  s.server(copy_in);
  CHECK_FALSE(s.idle());
  s.client(message('d', "1\n") + message('c'));
  CHECK_FALSE(s.idle());
  s.server(done + ready('I'));
  CHECK(s.idle());
}

TEST_CASE("COPY in by the extended protocol: the server swallows the Sync that came before the data") {
  session s;
  s.client(message('P', std::string("\0COPY t FROM STDIN\0\0\0", 21)) + message('B', std::string(8, '\0')) +
           message('E', std::string(5, '\0')) + message('S'));
  s.server(message('1') + message('2') + copy_in);
  s.client(message('d', "1\n") + message('c'));
  CHECK_FALSE(s.idle());
  s.client(message('S'));
  s.server(done + ready('I'));
  CHECK(s.idle());
}

TEST_CASE("a Sync before a query that copies: the count may not end early") {
  session s;
  s.client(message('S') + message('Q', std::string("COPY t FROM STDIN\0", 18)));
  s.server(ready('I'));
  CHECK_FALSE(s.idle());
  s.server(copy_in);
  s.client(message('c'));
  CHECK_FALSE(s.idle());
  s.server(done + ready('I'));
  CHECK(s.idle());
}

TEST_CASE("a message that is cut is not idle, wherever it is cut") {
  const std::string whole = message('Q', std::string("SELECT 1\0", 9));
  for (std::size_t at = 1; at < whole.size(); ++at) {
    session s;
    s.client(whole.substr(0, at));
    CHECK_FALSE(s.idle());
    s.client(whole.substr(at));
    s.server(ready('I').substr(0, 5));
    CHECK_FALSE(s.idle());
    CHECK_FALSE(s.tracker.server_at_boundary());
    s.server("I");
    CHECK(s.idle());
  }
}

TEST_CASE("a FATAL is noticed, an ERROR is not one") {
  session s;
  s.server(error("ERROR"));
  CHECK_FALSE(s.tracker.server_said_fatal());
  s.server(error("FATAL"));
  CHECK(s.tracker.server_said_fatal());
}

TEST_CASE("Terminate is noticed") {
  session s;
  s.client(message('X'));
  CHECK(s.tracker.client_terminated());
}

TEST_CASE("what the protocol forbids is stopped, what came before it goes on") {
  session s;
  const std::string good = message('S');
  for (const char type : {'p', '!', '\0'}) {
    proxy::traffic_tracker tracker;
    const std::string bytes = good + message(type, "secret");
    const auto seen = tracker.from_client(std::as_bytes(std::span(bytes)));
    CHECK(seen.forward == good.size());
    REQUIRE(seen.fault);
    CHECK(seen.fault->type == type);
  }
}

TEST_CASE("a round lasts from its first statement to its end, and its text is kept while it is watched") {
  session s;
  const auto text = [&] { return s.tracker.shown().text(); };
  s.client(message('Q', std::string("SELECT 1\0", 9)));
  CHECK(s.tracker.rounds().open);
  CHECK(text().empty());
  s.server(done + ready('I'));
  CHECK_FALSE(s.tracker.rounds().open);
  CHECK(s.tracker.rounds().ended == 1);

  s.tracker.watch(true);
  const std::string two = message('Q', std::string("SELECT 2\0", 9));
  s.client(two.substr(0, 8));  // in two pieces
  s.client(two.substr(8));
  CHECK(text() == "SELECT 2");
  s.client(message('Q', std::string("SELECT 3\0", 9)));
  CHECK(text() == "SELECT 2");
  s.server(done + ready('I'));
  CHECK(s.tracker.rounds().open);  // the one behind it
  s.server(done + ready('I'));
  CHECK(s.tracker.rounds().ended == 3);

  s.client(message('P', std::string("name\0SELECT $1\0\0\0", 17)) + message('B') + message('E', std::string(5, '\0')));
  CHECK(text() == "SELECT $1");
  CHECK(s.tracker.rounds().open);
  s.client(message('S'));
  s.server(error("ERROR") + ready('I'));
  CHECK_FALSE(s.tracker.rounds().open);
  CHECK(s.tracker.rounds().ended == 4);
}

TEST_CASE("what a server reports is kept for whoever has the connection next") {
  session at;
  CHECK(at.tracker.reported() == nullptr);
  at.server(message('S', std::string("TimeZone\0UTC\0", 13)) + ready('I'));
  at.client(message('Q', std::string("SET timezone = x\0", 17)));
  at.server(message('C', std::string("SET\0", 4)) + message('S', std::string("TimeZone\0x\0", 11)) + ready('I'));
  REQUIRE(at.tracker.reported() != nullptr);
  CHECK(*at.tracker.reported() == proxy::parameter_map{{"TimeZone", "x"}});
  CHECK(at.tracker.all_reported_known());
}

TEST_CASE("what is too long to be kept, or no report, is not known") {
  const auto body =
      GENERATE(std::string("no end"), "search_path" + std::string(1, '\0') + std::string(9000, 'x') + '\0');
  session at;
  at.server(message('S', body) + ready('I'));
  CHECK_FALSE(at.tracker.all_reported_known());
}

TEST_CASE("a server that reports settings without end is not remembered without end") {
  session at;
  for (std::size_t i = 0; i < 10 * proxy::most_parameters; ++i) {
    CHECK(at.tracker.all_reported_known() == (i <= proxy::most_parameters));
    at.server(message('S', std::to_string(i) + std::string("\0x\0", 3)));
  }
  CHECK_FALSE(at.tracker.all_reported_known());
  CHECK(at.tracker.reported()->size() == proxy::most_parameters + 1);
}

}  // namespace traffic_tracker_test
