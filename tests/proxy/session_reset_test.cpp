#include "proxy/session/session_reset.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "protocol/backend_messages.hpp"

namespace session_reset_test {

namespace {

using proxy::session_reset;
using outcome = session_reset::outcome;
namespace backend = pgwire::backend;

const std::string unhampered = backend::command_complete{"RESET"}.encode();
const std::string discarded = backend::command_complete{"DISCARD ALL"}.encode();
const std::string ready = backend::ready_for_query{}.encode();
const std::string columns = backend::row_description{{{"setseed"}, {"?column?"}, {"pg_my_temp_schema"}}}.encode();
const std::string seeded = backend::command_complete{"SELECT 1"}.encode();

std::string row(std::string_view seed, std::string_view temp_schema = "0") {
  return backend::data_row{{"", seed, temp_schema}}.encode();
}

// What came of the messages: of the last one, or of the first that failed.
outcome fed(session_reset& resetting, const std::vector<std::string>& messages) {
  outcome how = outcome::goes_on;
  for (const std::string& one : messages) {
    how = resetting.on_message(one.front(), pgwire::as_bytes(one).subspan(5));
    if (how == outcome::failed) break;
  }
  return how;
}

}  // namespace

TEST_CASE("a session is as new when the server says what it was asked for") {
  session_reset resetting(0.25);
  const std::string asked = resetting.request();
  CHECK(asked.find("RESET ALL") < asked.find("DISCARD ALL"));
  CHECK(asked.find("DISCARD ALL") != std::string::npos);
  CHECK(asked.find("pg_catalog.setseed('0.25'), '0.25'") != std::string::npos);
  CHECK(fed(resetting, {unhampered, ready, discarded, ready, columns, row("0.25"), seeded}) == outcome::goes_on);
  CHECK(fed(resetting, {ready}) == outcome::clean);
  CHECK(resetting.reported().empty());
}

TEST_CASE("what a server says besides is heard while a session is reset") {
  session_reset resetting(0.5);
  const auto report = [](std::string_view value) { return backend::parameter_status{"TimeZone", value}.encode(); };
  const std::string notice = backend::notice_response{{{'S', "NOTICE"}, {'M', "late"}}}.encode();
  const std::string notified = backend::notification_response{1, "channel", "late"}.encode();
  CHECK(fed(resetting, {notified, report("UTC"), unhampered, ready, discarded, notice, report("Asia/Tokyo"), ready,
                        columns, row("0.5"), seeded, ready}) == outcome::clean);
  CHECK(resetting.reported() == proxy::parameter_map{{"TimeZone", "Asia/Tokyo"}});
}

TEST_CASE("nothing but the exact answer makes a session as new") {
  const std::vector<std::string> exact{unhampered, ready, discarded, ready, columns, row("0.5"), seeded, ready};
  const std::string error = backend::error_response{{{'S', "ERROR"}, {'C', "57014"}, {'M', "no"}}}.encode();
  const std::string open = backend::ready_for_query{backend::transaction_status::in_transaction}.encode();
  const std::vector<std::string> wrong{error,
                                       open,
                                       backend::command_complete{"DISCARD"}.encode(),
                                       backend::command_complete{"SELECT 2"}.encode(),
                                       row("0.75"),
                                       row("0.5", "16384"),
                                       std::string("I\0\0\0\4", 5),
                                       std::string("S\0\0\0\5x", 6),
                                       std::string("D\0\0\0\4", 5)};
  for (std::size_t at = 0; at < exact.size(); ++at) {
    for (const std::string& instead : wrong) {
      CAPTURE(at, instead);
      std::vector<std::string> said(exact.begin(), exact.begin() + static_cast<std::ptrdiff_t>(at));
      said.push_back(instead);
      session_reset resetting(0.5);
      CHECK(fed(resetting, said) == outcome::failed);
    }
  }
  for (std::size_t gone = 0; gone < exact.size(); ++gone) {
    CAPTURE(gone);
    std::vector<std::string> said = exact;
    said.erase(said.begin() + static_cast<std::ptrdiff_t>(gone));
    session_reset resetting(0.5);
    CHECK(fed(resetting, said) != outcome::clean);
  }
}

TEST_CASE("a server that reports settings without end makes no session as new") {
  session_reset resetting(0.5);
  std::vector<std::string> reports;
  for (std::size_t i = 0; i <= proxy::most_parameters; ++i) {
    reports.push_back(backend::parameter_status{std::to_string(i), "x"}.encode());
  }
  CHECK(fed(resetting, reports) == outcome::failed);
  CHECK(resetting.reported().size() <= proxy::most_parameters + 1);
}

}  // namespace session_reset_test
