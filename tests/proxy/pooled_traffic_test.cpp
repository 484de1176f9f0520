// The traffic of a pooled session, as lists of messages: what goes to the server, what comes to the client, and when
// the lease may end.
#include "proxy/session/pooled_traffic.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/backend_messages.hpp"
#include "protocol/frontend_messages.hpp"

namespace pooled_traffic_test {

namespace {

using proxy::byte_run;
using proxy::pooled_traffic;
namespace frontend = pgwire::frontend;
namespace backend = pgwire::backend;
using step = pooled_traffic::step;
using outcome = pooled_traffic::outcome;

std::string query(std::string_view text) { return frontend::query{text}.encode(); }
std::string tag(std::string_view text) { return backend::command_complete{text}.encode(); }
std::string ready(char status = 'I') {
  return backend::ready_for_query{static_cast<backend::transaction_status>(status)}.encode();
}
std::string error(std::string_view code, std::string_view message) {
  return pgwire::encode_error({"ERROR", std::string(code), std::string(message), {}, {}});
}
std::string text_of(const byte_run& run) { return std::string(pgwire::as_text(run.bytes())); }

const std::string parsed = backend::parse_complete{}.encode();
const std::string bound = backend::bind_complete{}.encode();
std::string ran(std::string_view what) { return parsed + bound + tag(what); }
const std::string dressed = ran("BEGIN") + ran("SELECT 1") + ran("COMMIT");  // in front of a message of the client's
const std::string dressed_alone = ran("SELECT 1") + backend::empty_query_response{}.encode() + ready();

proxy::session_terms terms(const std::string& tenant, routing::setting_list own = {}, bool guard = false) {
  routing::route where;
  where.tenant = *routing::tenant_id::parse(tenant);
  where.search_path = {"tenant_" + tenant};
  where.guard = guard;
  return {tenant, std::make_shared<const routing::session_state>(routing::session_defaults(where), own),
          proxy::session_guard(where)};
}

// One session and one server connection.
struct scene {
  explicit scene(proxy::session_terms what, std::uint64_t id = 1) : traffic(id, tools) {
    traffic.set_terms(std::make_shared<const proxy::session_terms>(std::move(what)));
    traffic.greet(std::make_shared<const proxy::parameter_map>());
    server.worn = traffic.state();
    server.tenant = "globex";
  }

  void was_acmes() {
    server.used = true;
    server.tenant = "acme";
  }
  step client(const std::string& bytes) {
    said = bytes;
    to_server.clear();
    to_client.clear();
    traffic.feed_client(pgwire::as_bytes(said));
    return advance();
  }
  step advance() {
    for (;;) {
      const step next = traffic.advance(to_server, to_client);
      if (next != step::needs_lease || !lend) return next;
      traffic.begin_lease(server, to_server);
    }
  }
  outcome reply(const std::string& bytes) {
    answered = bytes;
    to_server.clear();
    to_client.clear();
    return traffic.from_server(pgwire::as_bytes(answered), to_client, to_server);
  }
  [[nodiscard]] std::string sent() const { return text_of(to_server); }
  [[nodiscard]] std::string told() const { return text_of(to_client); }

  std::atomic<std::uint64_t> generation{0};
  proxy::statement_tools tools{generation, [] { return 0.5; }};
  pooled_traffic traffic;
  proxy::server_session server;
  byte_run to_server, to_client;
  std::string said, answered;
  bool lend = true;
};

}  // namespace

TEST_CASE("a statement on a connection that fits goes on as it came, and the lease ends with the transaction") {
  scene s(terms("globex"));
  CHECK(s.client(query("SELECT 1")) == step::starved);
  CHECK(s.sent() == query("SELECT 1"));
  CHECK(s.reply(tag("SELECT 1") + ready()) == outcome::over);
  CHECK(s.told() == tag("SELECT 1") + ready());
}

TEST_CASE("how a server leaves that says so behind the end of the lease is nothing to the client") {
  scene s(terms("globex"));
  s.client(query("SELECT 1"));
  const std::string goodbye =
      pgwire::encode_error({"FATAL", "57P05", "terminating connection due to idle-session timeout", {}, {}});
  SECTION("in one go") { CHECK(s.reply(tag("SELECT 1") + ready() + goodbye) == outcome::over); }
  SECTION("or cut by the read") {
    CHECK(s.reply(tag("SELECT 1") + ready() + goodbye.substr(0, 20)) == outcome::leased);
    CHECK(s.told() == tag("SELECT 1") + ready());
    CHECK(s.reply(goodbye.substr(20)) == outcome::over);
    CHECK(s.told().empty());
    CHECK(s.traffic.server_leaves());
    return;
  }
  CHECK(s.told() == tag("SELECT 1") + ready());
  CHECK(s.traffic.server_leaves());
}

TEST_CASE("how a server leaves in a transaction is the client's to hear") {
  scene s(terms("globex"));
  s.client(query("BEGIN"));
  const std::string goodbye = pgwire::encode_error({"FATAL", "57P01", "terminating connection", {}, {}});
  CHECK(s.reply(tag("BEGIN") + ready('T') + goodbye) == outcome::leased);
  CHECK(s.told() == tag("BEGIN") + ready('T') + goodbye);
  CHECK(s.traffic.server_said_fatal());
}

TEST_CASE("the lease goes on in a transaction") {
  scene s(terms("globex"));
  s.client(query("BEGIN"));
  CHECK(s.reply(tag("BEGIN") + ready('T')) == outcome::leased);
  s.client(query("COMMIT"));
  CHECK(s.reply(tag("COMMIT") + ready()) == outcome::over);
}

TEST_CASE(
    "another tenant's connection is cleaned and dressed in front of the first statement, without a Sync between") {
  scene s(terms("globex"));
  s.was_acmes();
  s.server.worn = terms("acme").start;
  CHECK(s.client(query("SELECT 1")) == step::starved);
  const std::string sent = s.sent();
  const auto discard = sent.find("DISCARD ALL");
  const auto dress = sent.find("set_config('search_path','\"tenant_globex\"',false)");
  const auto commit = sent.find("COMMIT");
  const auto statement = sent.find(query("SELECT 1"));
  CHECK(discard < dress);
  CHECK(dress < commit);
  CHECK(commit < statement);
  CHECK(statement != std::string::npos);
  CHECK(sent.find(frontend::sync{}.encode()) == std::string::npos);
  CHECK(s.server.worn == nullptr);  // until it is known

  CHECK(s.reply(parsed + bound + tag("DISCARD ALL") + dressed) == outcome::leased);
  CHECK(s.told().empty());
  CHECK(s.server.worn == s.traffic.state());
  CHECK(s.reply(tag("SELECT 1") + ready()) == outcome::over);
}

TEST_CASE("what follows the first statement waits until the dressing is known to have succeeded") {
  scene s(terms("globex"));
  s.server.worn = std::make_shared<const routing::session_state>();
  CHECK(s.client(query("SELECT 1") + query("SELECT 2")) == step::waits);
  CHECK(s.sent().find("SELECT 2") == std::string::npos);
  CHECK(s.reply(dressed) == outcome::leased);
  CHECK(s.advance() == step::starved);
  CHECK(s.sent().find("SELECT 2") != std::string::npos);
}

TEST_CASE("what a server reports of a dressing, the client hears as far as it is news, with its own answer") {
  scene s(terms("globex"));
  s.traffic.greet(std::make_shared<const proxy::parameter_map>(
      proxy::parameter_map{{"DateStyle", "ISO, MDY"}, {"TimeZone", "Asia/Tokyo"}}));
  s.server.reported = std::make_shared<const proxy::parameter_map>(
      proxy::parameter_map{{"DateStyle", "ISO, MDY"}, {"TimeZone", "UTC"}});
  s.server.worn = std::make_shared<const routing::session_state>();
  const auto reports = [](std::string_view value) { return backend::parameter_status{"TimeZone", value}.encode(); };
  SECTION("what it believes anyway is none") {
    s.client(query("SELECT 1"));
    CHECK(s.reply(dressed + tag("SELECT 1") + reports("Asia/Tokyo") + ready()) == outcome::over);
    CHECK(s.told() == tag("SELECT 1") + ready());
  }
  SECTION("its own statement changed what was put on") {
    s.client(query("SELECT f()"));
    CHECK(s.reply(dressed + tag("SELECT 1") + reports("Europe/Rome") + ready()) == outcome::over);
    CHECK(s.told() == tag("SELECT 1") + reports("Europe/Rome") + ready());
  }
  SECTION("back to what the connection had worn, of which the server says nothing") {
    s.client(query("SELECT f()"));
    CHECK(s.reply(dressed + tag("SELECT 1") + ready()) == outcome::over);
    CHECK(s.told() == tag("SELECT 1") + reports("UTC") + ready());
  }
}

TEST_CASE("a dressing that fails is the client's error, and none of its statements counts as run") {
  scene s(terms("globex"));
  s.server.worn = std::make_shared<const routing::session_state>();
  const bool simple = GENERATE(true, false);
  const std::string pipeline = frontend::parse{"a", "SELECT 1", {}}.encode() + frontend::sync{}.encode();
  s.client(simple ? query("SELECT 1") : pipeline);
  CHECK(s.reply(error("42704", "role \"gone\" does not exist")) == outcome::undressed);
  s.traffic.explain_undressed(s.to_client);
  CHECK(s.told() == error("42704", "role \"gone\" does not exist") + ready());
  CHECK_FALSE(s.traffic.leased());
  // The name is free again.
  s.server.worn = s.traffic.state();
  s.client(pipeline);
  CHECK(s.sent().find("SELECT 1") != std::string::npos);
}

TEST_CASE("each part of a dressing that fails stops it, and the client's statement with it") {
  scene s(terms("globex"));
  s.was_acmes();
  const std::string why = error("57014", "canceling statement due to statement timeout");
  std::vector<std::string> answers;
  for (const char* part : {"DISCARD ALL", "BEGIN", "SELECT 2", "COMMIT"}) {
    answers.insert(answers.end(), {parsed, bound, tag(part)});
  }
  const auto fails_at = GENERATE_COPY(range(std::size_t{0}, answers.size()));
  CHECK(s.client(query("SELECT 1")) == step::starved);
  for (std::size_t i = 0; i < fails_at; ++i) CHECK(s.reply(answers[i]) == outcome::leased);
  CHECK(s.server.worn == nullptr);
  CHECK(s.reply(why) == outcome::undressed);
  s.traffic.explain_undressed(s.to_client);
  CHECK(s.told() == why + ready());
}

TEST_CASE("a SET is asked of the server after its transaction, and worn from then on") {
  scene s(terms("globex"));
  s.client(query("SET TimeZone TO 'Asia/Tokyo'"));
  CHECK(s.reply(tag("SET") + ready()) == outcome::leased);
  CHECK(s.told() == tag("SET") + ready());
  CHECK(s.sent().find("current_setting('timezone',true)") != std::string::npos);
  // Its kind is asked once, too.
  const auto row = backend::data_row{{std::string_view("417369612f546f6b796f"), std::string_view("user")}}.encode();
  CHECK(s.reply(backend::row_description{}.encode() + row + tag("SELECT 1") + ready()) == outcome::over);
  CHECK(s.told().empty());
  REQUIRE(s.traffic.state()->find("timezone") != nullptr);
  CHECK(*s.traffic.state()->find("timezone") == "Asia/Tokyo");
  CHECK(s.server.worn == s.traffic.state());
  CHECK(s.traffic.held_bytes() >= std::string_view("timezoneAsia/Tokyo").size());
}

TEST_CASE("a timeout that was just set is asked about in as little time as can be") {
  scene s(terms("globex"));
  s.client(query("SET statement_timeout TO 1"));
  s.reply(tag("SET") + ready());
  CHECK(s.sent().find("current_setting('statement_timeout',true)") != std::string::npos);
  CHECK(s.sent().find("pg_settings") == std::string::npos);
  const auto row = backend::data_row{{std::string_view("316d73")}}.encode();
  CHECK(s.reply(backend::row_description{}.encode() + row + tag("SELECT 1") + ready()) == outcome::over);
  CHECK(*s.traffic.state()->find("statement_timeout") == "1ms");
}

TEST_CASE("an answer about settings that is none ends what is known of the connection") {
  scene s(terms("globex"));
  s.client(query("SET TimeZone TO 'Asia/Tokyo'"));
  s.reply(tag("SET") + ready());
  const auto row = backend::data_row{{std::string_view("Asia/Tokyo"), std::string_view("user")}}.encode();  // no digits
  CHECK(s.reply(backend::row_description{}.encode() + row) == outcome::lost_track);
}

TEST_CASE("a notification that comes before the dressing is done is another's") {
  scene s(terms("globex"));
  s.was_acmes();
  const std::string news = backend::notification_response{7, "acme_news", "all of it"}.encode();
  s.client(query("SELECT 1"));
  CHECK(s.reply(news + parsed + bound + tag("DISCARD ALL") + dressed) == outcome::leased);
  CHECK(s.told().empty());
  s.reply(news);
  CHECK(s.told() == news);
}

TEST_CASE("RESET comes back to the session's start before the client hears that it is done") {
  scene s(terms("globex"));
  s.client(query("RESET search_path"));
  CHECK(s.reply(tag("RESET") + ready()) == outcome::leased);
  CHECK(s.told() == tag("RESET"));
  CHECK(s.sent().find("set_config('search_path','\"tenant_globex\"',false)") != std::string::npos);
  s.reply(backend::row_description{}.encode() + tag("SELECT 1") + ready());
  CHECK(s.told() == ready());
}

TEST_CASE("a RESET among other statements is restored at once, and what restores it is not seen") {
  scene s(terms("globex"));
  s.client(query("RESET search_path; SELECT 1"));
  CHECK(s.sent().find("RESET search_path\n;SELECT pg_catalog.set_config") != std::string::npos);
  const auto description = backend::row_description{}.encode();
  s.reply(tag("RESET") + description + tag("SELECT 1") + description + tag("SELECT 1") + ready());
  CHECK(s.told() == tag("RESET") + description + tag("SELECT 1") + ready());
}

namespace {

const std::string copy_in = pgwire::backend::copy_in_response{}.encode();
const std::string copy_done = frontend::copy_done{}.encode();

}  // namespace

TEST_CASE("after a COPY that failed a client waits for a restore as ever") {
  scene s(terms("globex"));
  s.client(query("COPY t FROM STDIN"));
  s.reply(copy_in + error("22P04", "extra data") + ready('E'));
  CHECK(s.client(query("RESET search_path") + query("SELECT 1")) == step::waits);
  CHECK(s.sent() == query("RESET search_path"));
}

TEST_CASE("COPY data that was ended before the server asked for it keeps nothing from waiting") {
  scene s(terms("globex"));
  CHECK(s.client(query("COPY t FROM STDIN") + copy_done + query("RESET search_path") + query("SELECT 1")) ==
        step::waits);
  CHECK(s.sent() == query("COPY t FROM STDIN"));
  s.reply(copy_in);
  CHECK(s.advance() == step::waits);
  CHECK(s.sent() == copy_done);
  s.reply(tag("COPY 0") + ready());
  CHECK(s.advance() == step::waits);
  CHECK(s.sent().find("SELECT 1") == std::string::npos);
}

TEST_CASE("a text of two COPYs takes data twice") {
  scene s(terms("globex"));
  CHECK(s.client(query("COPY t FROM STDIN; COPY t FROM STDIN") + copy_done + copy_done) == step::waits);
  for (int i = 0; i < 2; ++i) {
    s.reply(i == 0 ? copy_in : tag("COPY 0") + copy_in);
    CHECK(s.traffic.server_waits());
    s.advance();
    CHECK(s.sent() == copy_done);
    CHECK_FALSE(s.traffic.server_waits());
  }
  CHECK(s.reply(tag("COPY 0") + ready()) == outcome::over);
}

TEST_CASE("what has no place in COPY data ends the session, as at a server, and does not run") {
  scene s(terms("globex"));
  s.client(query("COPY t FROM STDIN"));
  s.reply(copy_in);
  CHECK(s.client(query("SELECT 1")) == step::waits);
  const std::string end = s.sent();
  const auto words = frontend::copy_fail::decode(pgwire::as_bytes(end).subspan(5));
  REQUIRE(words);
  SECTION("which it does if the COPY goes on") {
    s.reply(error("57014", "COPY from stdin failed: " + std::string(words->reason)) + ready());
    CHECK(s.told().empty());
    CHECK(s.advance() == step::fault);
    CHECK(s.sent().empty());
    CHECK(s.traffic.fault()->type == 'Q');
  }
  SECTION("but has failed it has its place") {
    s.reply(error("55000", "no") + ready());
    CHECK(s.told() == error("55000", "no") + ready());
    CHECK(s.advance() == step::starved);
    CHECK(s.sent() == query("SELECT 1"));
  }
}

TEST_CASE("a Sync behind a COPY goes to the server only if the COPY does not swallow it") {
  scene s(terms("globex"));
  const std::string begun =
      frontend::parse{{}, "COPY t FROM STDIN", {}}.encode() + frontend::bind{}.encode() + frontend::execute{}.encode();
  const std::string sync = frontend::sync{}.encode();
  const std::string behind = query("SELECT 'behind'");
  CHECK(s.client(begun + sync) == step::waits);
  CHECK(s.sent() == begun + frontend::flush{}.encode());
  s.reply(parsed + bound);
  CHECK(s.advance() == step::waits);
  CHECK(s.sent().empty());
  SECTION("it went well") {
    s.reply(copy_in);
    s.advance();
    s.client(copy_done + sync);
    CHECK(s.sent() == copy_done + sync);
    CHECK(s.reply(tag("COPY 0") + ready()) == outcome::over);
  }
  SECTION("it failed by its data") {
    s.reply(copy_in);
    s.advance();
    s.client(copy_done + sync);
    CHECK(s.reply(error("22P04", "extra data")) == outcome::leased);
    CHECK(s.reply(ready()) == outcome::over);
  }
  SECTION("it failed after it had asked for data, and before it had any") {
    const bool at_once = GENERATE(true, false);
    s.reply(copy_in + (at_once ? error("55000", "no") : ""));
    s.advance();
    if (!at_once) s.reply(error("55000", "no"));
    CHECK(s.sent() == sync);
    CHECK(s.client(copy_done + behind) == step::starved);
    CHECK(s.sent() == behind);
    CHECK(s.reply(ready()) == outcome::leased);
    CHECK(s.reply(tag("SELECT 1") + ready()) == outcome::over);
  }
  SECTION("it failed before it asked for data") {
    s.reply(error("42P01", "no such table"));
    CHECK(s.advance() == step::starved);
    CHECK(s.sent() == sync);
    CHECK(s.client(behind) == step::starved);
    CHECK(s.sent() == behind);
  }
  SECTION("it was none") {
    s.reply(tag("SELECT 1"));
    CHECK(s.advance() == step::starved);
    CHECK(s.sent() == sync);
    CHECK(s.reply(ready()) == outcome::over);
  }
  SECTION("it asked for data, and says that it is done without any") {
    s.reply(copy_in);
    CHECK(s.reply(tag("COPY 0")) == outcome::lost_track);
  }
}

TEST_CASE("a Sync in the middle of COPY data: where it is in doubt whether it is one nothing is guessed") {
  scene s(terms("globex"));
  const std::string sync = frontend::sync{}.encode();
  s.client(frontend::parse{{}, "COPY t FROM STDIN", {}}.encode() + frontend::bind{}.encode() +
           frontend::execute{}.encode());
  s.reply(parsed + bound + copy_in);
  s.client(frontend::copy_data{"1\n"}.encode() + sync + copy_done + sync);
  SECTION("it went well") { CHECK(s.reply(tag("COPY 1") + ready()) == outcome::over); }
  SECTION("it failed, before or after") { CHECK(s.reply(error("22P04", "extra data")) == outcome::lost_track); }
}

TEST_CASE("COPY data that nobody asked for goes nowhere") {
  // A timeout that a server comes to at such a message ends no pipeline, but answers with a ReadyForQuery of its own.
  scene s(terms("globex"));
  const std::string data = frontend::copy_data{"1\n"}.encode() + copy_done + frontend::copy_fail{"no"}.encode();
  s.client(query("SELECT 1") + data + query("SELECT 2") + data.substr(0, 6));
  CHECK(s.sent() == query("SELECT 1") + query("SELECT 2"));
  s.reply(tag("SELECT 1") + ready() + tag("SELECT 1") + ready());
  s.client(data.substr(6) + frontend::bind{"p"}.encode() + data + frontend::sync{}.encode());
  CHECK(s.sent() == frontend::bind{"p"}.encode() + frontend::sync{}.encode());
}

TEST_CASE("a server that asks for COPY data for no statement that could has been misunderstood") {
  scene s(terms("globex"));
  s.client(query("SELECT 'std', 'copy'"));
  CHECK(s.reply(copy_in) == outcome::lost_track);
}

TEST_CASE("an error at a Flush has what follows skipped up to the Sync") {
  scene s(terms("globex"));
  const std::string begun = frontend::parse{{}, "SELECT 1", {}}.encode() + frontend::bind{}.encode();
  const std::string flush = frontend::flush{}.encode();
  const std::string late = error("57014", "canceling statement due to statement timeout");
  s.client(begun + flush);
  SECTION("which comes later") {
    s.reply(parsed + bound + late);
    CHECK(s.told() == parsed + bound + late);
    CHECK(s.client(frontend::execute{}.encode() + query("SELECT 2") + frontend::sync{}.encode()) == step::starved);
    CHECK(s.sent() == frontend::sync{}.encode());
    CHECK(s.reply(ready()) == outcome::over);
  }
  SECTION("a Query, of which it cannot be known") {
    s.client(query("SELECT 2"));
    CHECK(s.reply(parsed + bound + late) == outcome::lost_track);
  }
}

TEST_CASE("an error that nothing asked for is a sign that answers were miscounted") {
  scene s(terms("globex"));
  s.client(query("BEGIN"));
  s.reply(tag("BEGIN") + ready('T'));
  CHECK(s.reply(error("XX000", "of what?")) == outcome::lost_track);
}

TEST_CASE("what a Query answers comes from no pipeline") {
  scene s(terms("globex"));
  s.client(query("SELECT 1"));
  CHECK(s.reply(GENERATE(as<std::string>(), parsed, bound)) == outcome::lost_track);
}

TEST_CASE("what an EXECUTE would have run into is told, not that the lodge could not help it") {
  scene s(terms("globex"));
  s.client(frontend::parse{"mine", "SELECT 1", {}}.encode() + frontend::sync{}.encode());
  CHECK(s.reply(parsed + backend::no_data{}.encode() + ready()) == outcome::over);
  s.traffic.end_lease();
  s.client(query("EXECUTE mine"));
  const std::string gone = error("42P01", "relation does not exist");
  const std::string closed = s.sent().starts_with('C') ? backend::close_complete{}.encode() : std::string();
  s.reply(closed + gone + ready() + error("26000", "prepared statement \"mine\" does not exist") + ready());
  CHECK(s.told() == gone + ready());
}

TEST_CASE("a Query that needs a prepared statement's name waits for the dressing, and keeps the lease") {
  scene s(terms("globex"));
  s.client(frontend::parse{"mine", "SELECT 1", {}}.encode() + frontend::sync{}.encode());
  s.reply(parsed + backend::no_data{}.encode() + ready());
  s.traffic.end_lease();
  s.server.worn = std::make_shared<const routing::session_state>();
  SECTION("which succeeds") {
    CHECK(s.client(query("EXECUTE mine")) == step::waits);
    CHECK(s.sent().find("EXECUTE") == std::string::npos);
    CHECK(s.sent().ends_with(frontend::flush{}.encode()));  // or nothing would make the server answer
    CHECK(s.advance() == step::waits);
    CHECK(s.reply(ran("DISCARD PLANS") + dressed) == outcome::leased);
    CHECK(s.advance() == step::starved);
    // Nobody finds it under that name later.
    const std::string closed =
        frontend::close{frontend::target::statement, "mine"}.encode() + frontend::sync{}.encode();
    CHECK(s.sent().ends_with(query("EXECUTE mine") + closed));
  }
  SECTION("which fails") {
    CHECK(s.client(query("EXECUTE mine")) == step::waits);
    CHECK(s.reply(error("42704", "role \"gone\" does not exist")) == outcome::undressed);
    s.traffic.explain_undressed(s.to_client);
    CHECK(s.told() == error("42704", "role \"gone\" does not exist") + ready());
  }
}

TEST_CASE("what sequences gave to another session is discarded in one go with the statement that asks") {
  scene s(terms("globex"));
  s.server.used = true;
  s.server.last_client = 99;
  s.client(query("SELECT lastval()"));
  CHECK(s.sent().find("DISCARD SEQUENCES") != std::string::npos);
  const std::string commit =
      frontend::parse{{}, "COMMIT", {}}.encode() + frontend::bind{}.encode() + frontend::execute{}.encode();
  CHECK(s.sent().ends_with(commit + query("SELECT lastval()")));
  CHECK(s.sent().find(frontend::sync{}.encode()) == std::string::npos);
  CHECK(s.reply(error("57014", "canceling statement due to statement timeout")) == outcome::undressed);
  s.traffic.explain_undressed(s.to_client);
  CHECK(s.told() == error("57014", "canceling statement due to statement timeout") + ready());
}

TEST_CASE("a short statement_timeout is taken off before anything is said for somebody else") {
  scene s(terms("globex"));
  s.server.used = true;
  const std::string lift = query("RESET ALL");
  const std::string late = error("57014", "canceling statement due to statement timeout");
  const bool foreign = GENERATE(true, false);
  CAPTURE(foreign);
  if (foreign) s.server.tenant = "acme";
  s.server.worn = std::make_shared<const routing::session_state>(s.traffic.state()->with("statement_timeout", "1ms"));
  CHECK(s.client(query("SELECT 1")) == step::waits);
  CHECK(s.sent() == lift);
  SECTION("as often as it takes") {
    for (int i = 0; i < 3; ++i) {
      CHECK(s.reply(late + ready()) == outcome::leased);
      CHECK(s.sent() == lift);
      CHECK(s.told().empty());
      CHECK(s.advance() == step::waits);
    }
    const std::string notice = backend::notification_response{7, "news", "another's"}.encode();
    CHECK(s.reply(notice + tag("RESET") + ready()) == outcome::leased);
    CHECK(s.told().empty());
    CHECK(s.sent().find("DISCARD ALL") != std::string::npos);
    s.to_server.clear();
    CHECK(s.advance() == step::starved);
    CHECK(s.sent() == query("SELECT 1"));
    const std::string answer = ran("DISCARD ALL") + dressed + tag("SELECT 1") + ready();
    CHECK(s.reply(answer) == outcome::over);
    CHECK(s.told() == tag("SELECT 1") + ready());
    CHECK(s.server.worn == s.traffic.state());
  }
  SECTION("not for ever") {
    int times = 1;
    while (s.reply(late + ready()) == outcome::leased) ++times;
    CHECK(times == 200);
    s.traffic.explain_undressed(s.to_client);
    CHECK(s.told() == late + ready());
  }
  SECTION("and not against another error") {
    const std::string why = error("53200", "out of memory");
    CHECK(s.reply(why + ready()) == outcome::undressed);
    s.traffic.explain_undressed(s.to_client);
    CHECK(s.told() == why + ready());
  }
}

TEST_CASE("what was taken off is put on again for a session whose own it is") {
  scene s(terms("globex", {{"statement_timeout", "1ms"}}));
  s.server.used = true;
  s.server.worn = std::make_shared<const routing::session_state>(s.traffic.state()->with("timezone", "CET"));
  s.client(query("SELECT 1"));
  CHECK(s.reply(tag("RESET") + ready()) == outcome::leased);
  CHECK(s.sent().find("set_config('statement_timeout','1ms',false)") != std::string::npos);
  CHECK(s.advance() == step::starved);
  CHECK(s.reply(ran("DISCARD ALL") + dressed + tag("SELECT 1") + ready()) == outcome::over);
}

namespace {

// What went out on a connection that could not be dressed, and the session begins again on a new one.
void take_a_new_one(scene& s) {
  REQUIRE(s.traffic.begin_again());
  CHECK_FALSE(s.traffic.leased());
  CHECK(s.traffic.begins_again());
  CHECK(s.told().empty());
  s.server = proxy::server_session();
  s.server.worn = std::make_shared<const routing::session_state>();
  s.to_server.clear();
}

}  // namespace

TEST_CASE("a connection that somebody had before and cannot be dressed is given up, and nothing was said") {
  scene s(terms("globex"));
  s.was_acmes();
  const std::string why = error("53200", "out of memory");
  const std::string pipeline = frontend::parse{{}, "SELECT 1", {}}.encode() + frontend::bind{}.encode() +
                               frontend::execute{}.encode() + frontend::sync{}.encode();
  const auto said = GENERATE_COPY(query("SELECT 1"), pipeline);
  const bool behind = GENERATE(true, false);
  const std::string next = behind ? query("SELECT 2") : std::string();
  const bool fatal = GENERATE(true, false);
  CHECK(s.client(said + next) == (behind ? step::waits : step::starved));
  const std::string first_time = s.sent();
  const auto statements = s.traffic.tally().statements;
  s.traffic.keep_client();
  const std::string ending = pgwire::encode_error({"FATAL", "57P05", "idle-session timeout", {}, {}});
  CHECK(s.reply(parsed + bound + (fatal ? ending : why)) == outcome::undressed);
  take_a_new_one(s);

  CHECK(s.advance() == (behind ? step::waits : step::starved));
  CHECK_FALSE(s.traffic.begins_again());
  CHECK(s.sent().find("DISCARD ALL") == std::string::npos);
  CHECK(first_time.find("SELECT 1") != std::string::npos);
  CHECK(s.sent().substr(s.sent().find("COMMIT")) == first_time.substr(first_time.find("COMMIT")));
  CHECK(s.traffic.tally().statements == statements);
  s.traffic.keep_client();
  SECTION("it goes on") {
    CHECK(s.reply(dressed) == outcome::leased);
    CHECK(s.advance() == step::starved);
    CHECK((s.sent().find("SELECT 2") != std::string::npos) == behind);
    CHECK(s.traffic.tally().statements == statements + (behind ? 1 : 0));
  }
  SECTION("but what fails on a new one, too, is the client's error") {
    CHECK(s.reply(why) == outcome::undressed);
    CHECK_FALSE(s.traffic.begin_again());
    s.traffic.explain_undressed(s.to_client);
    CHECK(s.told() == why + ready());
  }
}

TEST_CASE("what is cut in the middle of a message is read again from that message's beginning") {
  scene s(terms("globex"));
  s.was_acmes();
  const std::string first = frontend::parse{{}, "SELECT 1", {}}.encode() + frontend::flush{}.encode();
  const std::string rest = frontend::bind{}.encode() + frontend::execute{}.encode() + frontend::sync{}.encode();
  const auto cut = GENERATE_COPY(range(std::size_t{0}, rest.size()));
  CHECK(s.client(first + rest.substr(0, cut)) == step::starved);
  CHECK(s.reply(error("53200", "out of memory")) == outcome::undressed);
  take_a_new_one(s);
  CHECK(s.advance() == step::starved);
  const std::string sent = s.sent();
  CHECK(s.client(rest.substr(cut)) == step::starved);
  CHECK((sent + s.sent()).ends_with(first + rest));
  CHECK(s.reply(dressed + ran("SELECT 1") + ready()) == outcome::over);
  CHECK(s.told() == ran("SELECT 1") + ready());
}

TEST_CASE("a reset of its own that fails by something else than a timeout is tried on a new connection") {
  scene s(terms("globex"));
  s.server.used = true;
  s.server.worn = nullptr;
  CHECK(s.client(query("SELECT 1")) == step::waits);
  s.traffic.keep_client();
  CHECK(s.reply(error("53200", "out of memory") + ready()) == outcome::undressed);
  take_a_new_one(s);
  CHECK(s.advance() == step::starved);
  CHECK(s.sent().ends_with(query("SELECT 1")));
}

TEST_CASE("no more is kept of what a client says at first than 1 MiB") {
  scene s(terms("globex"));
  s.was_acmes();
  const std::size_t most = std::size_t{1024} * 1024;
  const std::size_t length = most + GENERATE(std::size_t{0}, std::size_t{1});
  const std::string said = query("SELECT '" + std::string(length - query("SELECT ''").size(), 'x') + "'");
  REQUIRE(said.size() == length);
  CHECK(s.client(said) == step::starved);
  CHECK(s.traffic.held_bytes() < 2 * most);
  CHECK(s.reply(error("53200", "out of memory")) == outcome::undressed);
  CHECK(s.traffic.begin_again() == (length == most));
}

TEST_CASE("a dressing that follows the client's own statements is not taken for the first one") {
  scene s(terms("globex"));
  s.server.used = true;
  s.server.last_client = 1;
  const std::string said = frontend::parse{{}, "DISCARD ALL", {}}.encode() + frontend::bind{}.encode() +
                           frontend::execute{}.encode() + frontend::sync{}.encode();
  s.client(said);
  s.reply(ran("DISCARD ALL"));
  CHECK(s.sent().find("set_config") != std::string::npos);
  const std::string why = error("53200", "out of memory");
  CHECK(s.reply(why) == outcome::undressed);
  CHECK_FALSE(s.traffic.begin_again());
  s.traffic.explain_undressed(s.to_client);
  CHECK(s.told() == why);
  s.to_client.clear();
  CHECK(s.advance() == step::starved);  // the Sync that waited for it
  CHECK(s.told() == ready());
}

TEST_CASE("a cancel request that hits what dresses, or comes before anything else runs, is the statement's") {
  scene s(terms("globex"));
  s.was_acmes();
  const bool resets = GENERATE(true, false);
  s.server.worn = resets ? nullptr : terms("acme").start;
  s.client(query("SELECT 1"));
  s.traffic.keep_client();
  s.traffic.note_cancel();
  const std::string why = error("57014", "canceling statement due to user request");
  SECTION("it hits") { CHECK(s.reply(why + (resets ? ready() : "")) == outcome::undressed); }
  if (resets) {
    SECTION("it comes late") { CHECK(s.reply(tag("RESET") + ready()) == outcome::undressed); }
  }
  CHECK_FALSE(s.traffic.begin_again());
  s.traffic.explain_undressed(s.to_client);
  CHECK(s.told() == why + ready());
}

TEST_CASE("a statement that is said again is one round, and one that is refused meanwhile is none to come") {
  scene s(terms("globex"));
  s.was_acmes();
  s.client(query("SELECT 1"));
  s.traffic.keep_client();
  CHECK(s.reply(error("53200", "out of memory")) == outcome::undressed);
  take_a_new_one(s);
  CHECK(s.traffic.rounds().ended == 0);
  SECTION("said again") {
    s.advance();
    s.reply(dressed + tag("SELECT 1") + ready());
  }
  SECTION("refused") {
    s.lend = false;
    CHECK(s.advance() == step::needs_lease);
    s.traffic.refuse(*s.traffic.undressed_why(), s.to_server, s.to_client);
    CHECK(s.told() == error("53200", "out of memory") + ready());
    s.lend = true;
    s.server.worn = s.traffic.state();
    s.client(query("SELECT 2"));
    s.reply(tag("SELECT 1") + ready());
    CHECK(s.traffic.tally().statements == 2);
  }
  CHECK(s.traffic.rounds().ended == 1);
  CHECK_FALSE(s.traffic.begins_again());
}

TEST_CASE("where others wait, no transaction is begun behind those that are under way") {
  scene s(terms("globex"));
  s.client(query("SELECT 1"));
  s.traffic.make_room(true);
  CHECK(s.client(query("SELECT 2") + query("SELECT 3")) == step::waits);
  CHECK(s.sent().empty());
  s.traffic.keep_client();
  CHECK(s.reply(tag("SELECT 1") + ready()) == outcome::over);
  s.traffic.end_lease();
  s.traffic.make_room(false);
  CHECK(s.advance() == step::starved);
  CHECK(s.sent() == query("SELECT 2") + query("SELECT 3"));
}

TEST_CASE("another's unnamed statement stays out of reach where what closes it is skipped") {
  scene s(terms("globex"));
  s.server.statements.unnamed_unknown = true;
  const std::string closed = frontend::close{frontend::target::statement, {}}.encode();
  const std::string run = frontend::bind{}.encode() + frontend::execute{}.encode() + frontend::sync{}.encode();
  const std::string describe = frontend::describe{frontend::target::portal, "none"}.encode();
  CHECK(s.client(describe + run + run) == step::waits);
  CHECK(s.sent() == describe + closed + run);
  s.reply(error("34000", "portal \"none\" does not exist") + ready());
  CHECK(s.advance() == step::starved);
  CHECK(s.sent() == closed + run);
}

TEST_CASE("a query closes the unnamed statement even if the pipeline before it fails") {
  scene s(terms("globex", {}, true));
  const std::string parse = frontend::parse{{}, "SELECT 1", {}}.encode(), sync = frontend::sync{}.encode();
  s.client(parse + sync);
  CHECK(s.reply(parsed + ready()) == outcome::over);
  s.traffic.end_lease();
  const std::string unknown = error("26000", "prepared statement \"s\" does not exist");
  frontend::bind other;
  other.statement = "s";
  const bool closes = GENERATE(true, false), refused = GENERATE(true, false);
  const std::string about = closes ? frontend::close{frontend::target::statement, {}}.encode() : parse;
  s.client(other.encode() + about + sync + query(refused ? "SET ROLE another" : "SHOW work_mem"));
  s.reply(unknown + ready() + (refused ? error("42601", "as it should") : tag("SHOW")) + ready());
  s.traffic.end_lease();
  s.client(frontend::bind{}.encode() + sync);
  CHECK(s.sent().find("SELECT 1") == std::string::npos);
}

TEST_CASE("the server is asked to parse what it has prepared already, where its transaction may have failed") {
  scene s(terms("globex"));
  const std::string named = frontend::parse{"mine", "SELECT 1", {}}.encode(), sync = frontend::sync{}.encode();
  const std::string unnamed = frontend::parse{{}, "SELECT 1", {}}.encode();
  for (int i = 0; i < 3; ++i) {  // the third time it is kept
    s.client(unnamed + sync);
    s.reply(parsed + ready());
    s.traffic.end_lease();
  }
  const bool by_name = GENERATE(true, false);
  s.client(query("BEGIN") + query("SELECT fails()"));
  s.client((by_name ? named : unnamed) + sync);
  CHECK(s.sent().find("SELECT 1") != std::string::npos);
  const std::string failed = error("22012", "division by zero"), over_with = error("25P02", "aborted");
  s.reply(tag("BEGIN") + ready('T'));
  s.reply(failed + ready('E'));
  s.reply(over_with + ready('E'));
  CHECK(s.told() == over_with + ready('E'));
}

TEST_CASE("what a statement that executes another one gives is not remembered") {
  scene s(terms("globex"));
  const std::string text = GENERATE("SELECT 1", "EXECUTE other");
  s.client(frontend::parse{"a", text, {}}.encode() + frontend::sync{}.encode());
  const bool described =
      s.sent().find(frontend::describe{frontend::target::statement, "pglodge_1"}.encode()) != std::string::npos;
  CHECK(described == (text == "SELECT 1"));
}

TEST_CASE("a name that was given in a pipeline which has failed is free again in the next, already under way") {
  scene s(terms("globex"));
  const std::string sync = frontend::sync{}.encode();
  const std::string named = frontend::parse{"a", "SELECT 1", {}}.encode() + sync;
  s.client(named);
  s.reply(parsed + backend::no_data{}.encode() + ready());
  s.client(frontend::close{frontend::target::statement, "a"}.encode() + sync);
  s.reply(ready());
  // The server has it by the lodge's name, and need not be asked.
  CHECK(s.client(frontend::execute{}.encode() + named + named) == step::waits);
  s.reply(error("34000", "portal \"\" does not exist") + ready());
  CHECK(s.told() == error("34000", "portal \"\" does not exist") + ready());
  CHECK(s.advance() == step::starved);
  CHECK(s.sent() == sync);
  s.reply(ready());
  CHECK(s.told() == parsed + ready());
}

TEST_CASE("what is to be closed at the server waits for the end of a pipeline that has failed") {
  scene s(terms("globex"));
  const std::string named = frontend::parse{"a", "SELECT 1", {}}.encode();
  const std::string twice = error("42P05", "prepared statement \"a\" already exists");
  s.client(named + frontend::flush{}.encode());
  s.reply(parsed + backend::no_data{}.encode());
  s.client(named + frontend::flush{}.encode());  // for the server's own words it has to be there as "a"
  s.reply(backend::close_complete{}.encode() + parsed + twice);
  CHECK(s.client(frontend::sync{}.encode()) == step::starved);
  CHECK(s.sent() == frontend::sync{}.encode());
  CHECK(s.reply(ready()) == outcome::over);
}

TEST_CASE("a Query behind COPY data ends the pipeline whose Sync was swallowed") {
  scene s(terms("globex"));
  s.client(frontend::parse{{}, "COPY t FROM STDIN", {}}.encode() + frontend::bind{}.encode() +
           frontend::execute{}.encode() + frontend::sync{}.encode() + copy_done + query("SELECT 1"));
  s.reply(parsed + bound + copy_in);
  CHECK(s.advance() == step::starved);
  CHECK(s.reply(tag("COPY 0")) == outcome::leased);
  CHECK(s.reply(tag("SELECT 1") + ready()) == outcome::over);
}

TEST_CASE("a goodbye instead of COPY data is one, whatever the lodge has to ask") {
  scene s(terms("globex"));
  s.client(query("SET work_mem TO '1MB'; COPY t FROM STDIN"));
  s.reply(tag("SET") + copy_in);
  CHECK(s.client(frontend::terminate{}.encode()) == step::terminated);
  CHECK_FALSE(s.traffic.idle());  // so that nobody else gets the connection
}

TEST_CASE("nothing of the lodge's gets into a message of the client's that has gone out in part") {
  scene s(terms("globex"));
  const std::string data = frontend::copy_data{"as long as it takes"}.encode();
  s.client(query("SET work_mem TO '1MB'; ROLLBACK; COPY t FROM STDIN"));
  s.reply(tag("SET") + tag("ROLLBACK") + copy_in);
  s.client(data.substr(0, 8));
  CHECK(s.reply(error("22P04", "extra data") + ready()) == outcome::leased);
  CHECK(s.sent().empty());
  s.client(data.substr(8));
  CHECK(s.sent().starts_with(data.substr(8)));
  CHECK(s.sent().find("current_setting('work_mem',true)") != std::string::npos);
}

TEST_CASE("a Query that its pipeline's error skips is not waited for") {
  scene s(terms("globex"));
  s.client(query("BEGIN"));
  s.reply(tag("BEGIN") + ready('T'));
  s.client(frontend::parse{"h", "SELECT 1/0", {}}.encode() + query("SELECT 1") + frontend::sync{}.encode());
  s.reply(error("22012", "division by zero") + ready('E'));
  CHECK(s.client(query("ROLLBACK")) == step::starved);
  CHECK(s.sent() == query("ROLLBACK"));
}

TEST_CASE("a statement is not said to be prepared in a transaction that may have failed") {
  scene s(terms("globex"));
  const std::string prepared = frontend::parse{"a", "SELECT 1", {}}.encode() + frontend::sync{}.encode();
  s.client(prepared);
  s.reply(parsed + backend::no_data{}.encode() + ready());
  s.client(query("BEGIN"));
  s.reply(tag("BEGIN") + ready('T'));
  frontend::parse again{"b", "SELECT 1", {}};
  s.client(frontend::execute{"nowhere", 0}.encode() + frontend::sync{}.encode() + again.encode());
  CHECK(s.sent().find("SELECT 1") != std::string::npos);
}

TEST_CASE("the guard's refusal fails at the server, so that a transaction fails as it must") {
  scene s(terms("globex", {}, true));
  s.client(query("SET search_path TO tenant_acme"));
  CHECK(s.sent().find("tenant_acme") == std::string::npos);
  s.reply(error("42601", "syntax error") + ready('E'));
  CHECK(s.told().find("42501") != std::string::npos);
  CHECK(s.told().ends_with(ready('E')));
  s.reply("");
  s.client(query("SET search_path TO tenant_globex"));
  CHECK(s.sent() == query("SET search_path TO tenant_globex"));
}

TEST_CASE("the guard refuses a function called by number, for that can be set_config()") {
  scene s(terms("globex", {}, true));
  const bool harmless = GENERATE(true, false);
  frontend::function_call call;
  call.function = harmless ? 952 : 2078;  // lo_open, set_config
  s.client(call.encode());
  CHECK((s.sent() == call.encode()) == harmless);
  if (harmless) return;
  s.reply(error("42601", "syntax error") + ready());
  CHECK(s.told().find("42501") != std::string::npos);
}

TEST_CASE("a statement that executes itself is followed by nobody") {
  scene s(terms("globex", {}, GENERATE(true, false)));
  s.client(frontend::parse{"a", "EXECUTE a", {}}.encode() + frontend::sync{}.encode());
  s.reply(parsed + backend::parameter_description{}.encode() + backend::no_data{}.encode() + ready());
  s.traffic.end_lease();
  CHECK(s.client(query("EXECUTE a")) == step::starved);
}

TEST_CASE("a named statement goes by a name of ours, and is there again on another connection") {
  scene s(terms("globex"));
  s.client(frontend::parse{"mine", "SELECT 1", {}}.encode() + frontend::sync{}.encode());
  CHECK(s.sent().find("mine") == std::string::npos);
  const auto described = backend::parameter_description{}.encode() + backend::row_description{}.encode();
  CHECK(s.reply(parsed + described + ready()) == outcome::over);
  CHECK(s.told() == parsed + ready());
  s.traffic.end_lease();

  frontend::bind bind;
  bind.statement = "mine";
  const std::string run = bind.encode() + frontend::execute{}.encode() + frontend::sync{}.encode();
  s.client(run);
  CHECK(s.sent().find("SELECT 1") == std::string::npos);  // it is prepared there
  CHECK(s.reply(bound + tag("SELECT 1") + ready()) == outcome::over);
  s.traffic.end_lease();

  proxy::server_session other;
  other.worn = s.traffic.state();
  std::swap(other.statements, s.server.statements);
  CHECK(s.client(run) == step::waits);  // what its result looks like is compared first
  CHECK(s.sent().find("SELECT 1") != std::string::npos);
  s.reply(parsed + described);
  CHECK(s.told().empty());
  CHECK(s.advance() == step::starved);
  CHECK(s.reply(bound + tag("SELECT 1") + ready()) == outcome::over);
  CHECK(s.told() == bound + tag("SELECT 1") + ready());
}

// Each is parsed at the server, or is there already.
bool is_parsed(scene& s, const std::string& name, std::string_view text) {
  s.client(frontend::parse{name, text, {}}.encode() + frontend::sync{}.encode());
  const bool asked = s.sent().find(text) != std::string::npos;
  const bool shown = !name.empty() && !text.starts_with("EXECUTE");
  const std::string described =
      shown ? backend::parameter_description{}.encode() + backend::no_data{}.encode() : std::string();
  const char status = s.traffic.idle() ? 'I' : 'T';
  s.reply(asked ? parsed + described + ready(status) : ready(status));
  if (status == 'I') s.traffic.end_lease();
  return asked;
}

TEST_CASE("a statement is shared unless what it means is this transaction's, or the moment's") {
  scene s(terms("globex"));
  const std::string text = GENERATE("SELECT '2024-01-01'::timestamptz", "SELECT 'now'::timestamptz",
                                    "SELECT ' Today 10:00'::timestamp", "SELECT now(), today_s, 'nowhere' FROM t");
  const bool tells_time = text.starts_with("SELECT 'now'") || text.starts_with("SELECT ' Today");
  SECTION("named") {
    CHECK(is_parsed(s, "a", text));
    CHECK(is_parsed(s, "b", text) == tells_time);
  }
  SECTION("unnamed") {
    for (int i = 0; i < 3; ++i) CHECK(is_parsed(s, "", text));
    CHECK(is_parsed(s, "", text) == tells_time);
  }
}

TEST_CASE("what a transaction has set, or a function of its, decides what its statements mean") {
  scene s(terms("globex"));
  const std::string text = "SELECT '2024-01-01'::timestamptz";
  CHECK(is_parsed(s, "before", text));
  s.client(query("BEGIN"));
  s.reply(tag("BEGIN") + ready('T'));
  CHECK_FALSE(is_parsed(s, "begun", text));
  SECTION("in plain sight") {
    s.client(query("SET LOCAL TimeZone = 'Asia/Tokyo'"));
    s.reply(tag("SET") + ready('T'));
  }
  SECTION("as the server reports") {
    s.client(query("SELECT f()"));
    s.reply(tag("SELECT 1") + backend::parameter_status{"TimeZone", "Asia/Tokyo"}.encode() + ready('T'));
  }
  SECTION("by the schema, which it may take back") {
    s.client(query("ALTER TABLE t ADD c int"));
    s.reply(tag("ALTER TABLE") + ready('T'));
  }
  CHECK(is_parsed(s, "here", text));
  CHECK(is_parsed(s, "there", text));
  // What nobody else can find is not left behind.
  s.client(frontend::close{frontend::target::statement, "there"}.encode() + frontend::sync{}.encode());
  CHECK(s.sent() == frontend::close{frontend::target::statement, "pglodge_3"}.encode() + frontend::sync{}.encode());
  s.reply(backend::close_complete{}.encode() + ready('T'));
  CHECK(s.told() == backend::close_complete{}.encode() + ready('T'));
  // Each stays what it was parsed as.
  frontend::bind bind;
  bind.statement = "here";
  s.client(bind.encode() + frontend::sync{}.encode());
  CHECK(s.sent().find(text) == std::string::npos);
}

TEST_CASE("what is there of another's plans goes where settings that matter to them differ") {
  scene s(terms("globex", {{"timezone", "Asia/Tokyo"}}));
  const bool matters = GENERATE(true, false);
  s.server.used = true;
  s.server.worn =
      terms("globex", {{matters ? "timezone" : "work_mem", "1MB"}, {"timezone", matters ? "UTC" : "Asia/Tokyo"}}).start;
  s.client(query("SELECT 1"));
  CHECK((s.sent().find("DISCARD PLANS") != std::string::npos) == matters);
}

TEST_CASE("a statement that fails as it is bound or described is prepared anew the next time") {
  scene s(terms("globex"));
  CHECK(is_parsed(s, "a", "SELECT $1::int"));
  CHECK_FALSE(is_parsed(s, "b", "SELECT $1::int"));
  frontend::bind bind;
  bind.statement = "a";
  const std::string what =
      GENERATE_COPY(as<std::string>(), bind.encode(), frontend::describe{frontend::target::statement, "a"}.encode());
  const std::string code = GENERATE("22003", "26000");
  s.client(what + frontend::sync{}.encode());
  s.reply(error(code, "prepared statement \"pglodge_1\" is no good") + ready());
  CHECK(s.told() == error(code, "prepared statement \"a\" is no good") + ready());
  s.traffic.end_lease();
  s.client(what + frontend::sync{}.encode());
  CHECK(s.sent().find("SELECT $1::int") != std::string::npos);
}

TEST_CASE("a statement that one text names often is said once") {
  scene s(terms("globex"));
  const std::string large(std::size_t{300} << 10, 'x');
  CHECK(is_parsed(s, "a", "SELECT '" + large + "'"));
  std::string text;
  for (int i = 0; i < 100; ++i) text += "EXECUTE a;";
  s.client(query(text));
  CHECK(s.sent().size() < 2 * large.size());
}

TEST_CASE("no more is asked than so many answers ahead, and the server is made to give them") {
  scene s(terms("globex"));
  std::string said;
  for (int i = 0; i < 10'000; ++i) said += frontend::parse{{}, "SELECT " + std::to_string(i), {}}.encode();
  CHECK(s.client(said) == step::waits);
  CHECK(s.sent().ends_with(frontend::flush{}.encode()));
  s.traffic.keep_client();
  std::string answers;
  for (int i = 0; i < 8192; ++i) answers += parsed;
  CHECK(s.reply(answers) == outcome::leased);
  CHECK(s.told() == answers);
  CHECK(s.advance() == step::starved);
}

TEST_CASE("a statement whose result has changed meanwhile is the error that drivers know") {
  scene s(terms("globex"));
  s.client(frontend::parse{"mine", "SELECT * FROM t", {}}.encode() + frontend::sync{}.encode());
  const auto parameters = backend::parameter_description{}.encode();
  const auto shape = [](std::uint32_t type) {
    return backend::row_description{{{"a", 0, 0, type, 4, -1, 0}}}.encode();
  };
  s.reply(parsed + parameters + shape(23) + ready());
  s.traffic.end_lease();
  s.server.statements.clear();
  frontend::bind bind;
  bind.statement = "mine";
  s.client(bind.encode() + frontend::sync{}.encode());
  s.reply(parsed + parameters + shape(20));
  s.advance();
  CHECK(s.sent().find("mine") == std::string::npos);
  s.reply(error("42601", "syntax error") + ready());
  CHECK(s.told().find("cached plan must not change result type") != std::string::npos);
}

TEST_CASE("an error in the pipeline undoes what came after it") {
  scene s(terms("globex"));
  s.client(frontend::parse{"a", "SELEKT", {}}.encode() + frontend::parse{"b", "SELECT 2", {}}.encode() +
           frontend::sync{}.encode());
  s.reply(error("42601", "syntax error") + ready());
  CHECK(s.told() == error("42601", "syntax error") + ready());
  s.traffic.end_lease();
  frontend::bind bind;
  bind.statement = "b";
  s.client(bind.encode());
  CHECK(s.sent() == bind.encode());  // the server says that it does not exist
}

TEST_CASE("a pin keeps the connection until its cause is gone") {
  scene s(terms("globex"));
  const auto answer = [](std::string_view value) {
    return backend::row_description{}.encode() + backend::data_row{{value}}.encode() + tag("SELECT 1") + ready();
  };
  s.client(query("LISTEN news"));
  CHECK(s.reply(tag("LISTEN") + ready()) == outcome::leased);
  CHECK(s.reply(answer("t")) == outcome::leased);
  CHECK(s.traffic.pins() == proxy::pin_set{proxy::pin::listening});
  CHECK(s.traffic.idle());
  s.client(query("UNLISTEN *"));
  s.reply(tag("UNLISTEN") + ready());
  CHECK(s.reply(answer("f")) == outcome::over);
  CHECK(s.traffic.pins().empty());
}

TEST_CASE(
    "statements that nobody wants any more are closed with what the client says, where an answer is sure to come") {
  scene s(terms("globex"));
  s.server.statements.unwanted("pglodge_7");
  s.traffic.begin_lease(s.server, s.to_server);
  CHECK(s.sent().empty());
  CHECK(s.traffic.idle());
  const auto close = frontend::close{frontend::target::statement, "pglodge_7"}.encode();
  s.client(query("SELECT 1"));
  CHECK(s.sent() == close + query("SELECT 1"));
  CHECK(s.reply(backend::close_complete{}.encode() + tag("SELECT 1") + ready()) == outcome::over);
  CHECK(s.told() == tag("SELECT 1") + ready());
}

TEST_CASE("the queue of answers does not grow while one is always under way") {
  proxy::expected_answers answers;
  answers.push(proxy::expected_answer::kind::query);
  for (int i = 0; i < 100'000; ++i) {
    answers.push(proxy::expected_answer::kind::query);
    answers.pop();
  }
  CHECK(answers.waiting().size() == 1);
  CHECK(answers.capacity() < 200);
}

TEST_CASE("a Sync without a lease is answered here, and a refused message is an ordinary error") {
  scene s(terms("globex"));
  s.lend = false;
  CHECK(s.client(frontend::sync{}.encode()) == step::starved);
  CHECK(s.told() == ready());
  CHECK(s.client(frontend::parse{"", "SELECT 1", {}}.encode() + frontend::sync{}.encode()) == step::needs_lease);
  s.traffic.refuse({"FATAL", "53400", "no connection", {}, {}}, s.to_server, s.to_client);
  CHECK(s.traffic.advance(s.to_server, s.to_client) == step::starved);
  CHECK(s.told() == error("53400", "no connection") + ready());
}

TEST_CASE("in a text of several, what restores follows what resets, whatever stands beside it") {
  scene s(terms("globex"));
  const std::string restore = "\n;SELECT pg_catalog.set_config('search_path','\"tenant_globex\"',false)";
  s.client(query("RESET ALL -- all\n; DO 'begin end'; SELECT x"));
  CHECK(s.sent() == query("RESET ALL -- all\n" + restore + "; DO 'begin end'; SELECT x"));
  s.reply(tag("RESET"));
  CHECK(s.told() == tag("RESET"));
  s.reply(backend::row_description{}.encode() + tag("SELECT 1"));
  CHECK(s.told().empty());
  s.reply(tag("DO"));
  CHECK(s.told() == tag("DO"));
  const auto failed = [](std::size_t position) {
    return backend::error_response{{{'S', "ERROR"}, {'C', "42703"}, {'P', std::to_string(position)}}}.encode();
  };
  const std::string first = failed(42);
  CHECK(s.reply(failed(42 + restore.size()) + ready()) == outcome::leased);
  CHECK(s.told() == failed(42) + ready());
}

TEST_CASE("a text of several whose last statement ends in a comment is restored all the same") {
  scene s(terms("globex"));
  s.client(query("SELECT 1; RESET search_path -- now"));
  CHECK(s.sent() == query("SELECT 1; RESET search_path -- now\n;SELECT "
                          "pg_catalog.set_config('search_path','\"tenant_globex\"',false)"));
}

TEST_CASE("what follows DEALLOCATE waits for its answer, not for that of what the lodge put in front of it") {
  scene s(terms("globex"));
  s.client(frontend::parse{"s1", "SELECT 7", {}}.encode() + frontend::sync{}.encode());
  CHECK(s.reply(parsed + backend::no_data{}.encode() + ready()) == outcome::over);
  s.traffic.end_lease();
  CHECK(s.client(query("DEALLOCATE s1") + frontend::bind{{}, "s1", {}, {}, {}}.encode() + frontend::sync{}.encode()) ==
        step::waits);
  s.reply(parsed + ready());
  CHECK(s.advance() == step::waits);
  CHECK(s.sent().empty());
}

TEST_CASE("an unnamed statement that fails does not take a later one along") {
  scene s(terms("globex"));
  const std::string sync = frontend::sync{}.encode();
  s.client(frontend::parse{{}, "SELECT wrong", {}}.encode() + sync + frontend::parse{{}, "SELECT 1", {}}.encode() +
           sync);
  s.reply(error("42703", "no") + ready() + parsed + ready());
  const std::string bind = frontend::bind{}.encode() + sync;
  s.client(bind);
  CHECK(s.sent() == frontend::parse{{}, "SELECT 1", {}}.encode() + bind);  // made sure of
  s.reply(parsed + bound + ready());
  CHECK(s.told() == bound + ready());
}

TEST_CASE("DISCARD ALL in a pipeline is followed by the session's start, committed, before anything else runs") {
  scene s(terms("globex"));
  const std::string sync = frontend::sync{}.encode();
  const std::string run = frontend::bind{}.encode() + frontend::execute{}.encode();
  const auto parse = [](std::string_view text) { return frontend::parse{{}, text, {}}.encode(); };
  CHECK(s.client(parse("DISCARD ALL") + run + parse("SAVEPOINT a") + run + sync) == step::waits);
  CHECK(s.sent() == parse("DISCARD ALL") + run + frontend::flush{}.encode());
  s.reply(parsed + bound + tag("DISCARD ALL"));
  CHECK(s.told() == parsed + bound + tag("DISCARD ALL"));
  CHECK(s.sent().find("tenant_globex") != std::string::npos);
  CHECK(s.advance() == step::waits);
  s.reply(dressed_alone);
  CHECK(s.told().empty());
  CHECK(s.advance() == step::starved);
  CHECK(s.sent() == parse("SAVEPOINT a") + run + sync);
  // It fails, and takes nothing of that back.
  s.reply(parsed + bound + error("25P01", "no") + ready());
  CHECK(s.told() == parsed + bound + error("25P01", "no") + ready());
  CHECK(s.server.worn == s.traffic.state());
}

TEST_CASE("the lease ends no earlier than a message whose beginning the server has") {
  scene s(terms("globex"));
  s.client(query("COPY t FROM STDIN"));
  s.reply(copy_in);
  const std::string data = frontend::copy_data{"some rows"}.encode();
  CHECK(s.client(data.substr(0, 9)) == step::starved);
  CHECK(s.sent() == data.substr(0, 9));
  CHECK(s.reply(error("22023", "no") + ready()) == outcome::leased);
  CHECK(s.client(data.substr(9) + query("SELECT 1")) == step::over);
  CHECK(s.sent() == data.substr(9));
  s.traffic.end_lease();
  s.advance();
  CHECK(s.sent() == data.substr(9) + query("SELECT 1"));
}

TEST_CASE("with prepare: off nothing stays prepared for the next") {
  auto what = terms("globex");
  what.prepare = routing::prepare_mode::off;
  scene s(what);
  s.client(frontend::parse{"s1", "SELECT 7", {}}.encode() + frontend::sync{}.encode());
  CHECK(s.reply(parsed + backend::no_data{}.encode() + ready()) == outcome::over);
  s.traffic.end_lease();
  s.client(query("SELECT 1"));
  CHECK(s.sent().find(frontend::close{frontend::target::statement, "pglodge_1"}.encode()) == 0);
}

TEST_CASE("what is put in goes out with the server's next word, or at once if it has none to say") {
  scene s(terms("globex"));
  const std::string sync = frontend::sync{}.encode();
  const std::string parse = frontend::parse{"s1", "SELECT 7", {}}.encode();
  s.client(parse + sync);
  s.reply(parsed + backend::no_data{}.encode() + ready());
  s.traffic.end_lease();
  const std::string close = frontend::close{frontend::target::statement, "s1"}.encode();
  s.client(close + parse + sync);  // it is prepared there already
  CHECK(s.told().empty());
  s.reply(ready());
  CHECK(s.told() == backend::close_complete{}.encode() + parsed + ready());
  s.traffic.end_lease();
  s.client(close + frontend::flush{}.encode());
  CHECK(s.told() == backend::close_complete{}.encode());
}

TEST_CASE("a round lasts from its first statement to the client's ReadyForQuery") {
  scene s(terms("globex"));
  s.traffic.shown().watch(true);
  s.client(query("SELECT 1") + query("SELECT 2"));
  CHECK(s.traffic.rounds().open);
  CHECK(s.traffic.shown().text() == "SELECT 1");
  s.reply(tag("SELECT 1") + ready());
  CHECK(s.traffic.rounds().ended == 1);
  CHECK(s.traffic.rounds().open);
  s.reply(tag("SELECT 1") + ready());
  CHECK(s.traffic.rounds().ended == 2);
  CHECK_FALSE(s.traffic.rounds().open);
  s.traffic.end_lease();
  s.client(frontend::parse{"", "SELECT $1", {}}.encode() + frontend::bind{}.encode() + frontend::execute{}.encode());
  CHECK(s.traffic.shown().text() == "SELECT $1");
  CHECK(s.traffic.rounds().open);
  s.traffic.end_lease();  // the connection was lost
  CHECK(s.traffic.rounds().ended == 3);
  CHECK_FALSE(s.traffic.rounds().open);
}

}  // namespace pooled_traffic_test
