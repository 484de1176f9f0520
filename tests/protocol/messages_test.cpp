// Every message of both directions: encode, decode and encode again gives the same bytes; cut at any byte, or
// with a byte too many, it is an error.
#include <catch2/catch.hpp>

#include "protocol/backend_messages.hpp"
#include "protocol/frontend_messages.hpp"
#include "protocol/writer.hpp"

namespace messages_test {

using namespace pgwire;
using namespace std::string_literals;

namespace {

template <class Message>
void round_trip(const Message& message) {
  const auto text = message.encode();
  CAPTURE(text);
  CHECK(text[0] == Message::type);
  CHECK(load_u32(as_bytes(text).data() + 1) == text.size() - 1);
  const auto decoded = Message::decode(as_bytes(text).subspan(5));
  REQUIRE(decoded);
  CHECK(decoded->encode() == text);
}

/// For messages that do not simply end in whatever is left.
template <class Message>
void strict(const Message& message) {
  round_trip(message);
  const auto text = message.encode();
  const auto body = as_bytes(text).subspan(5);
  for (std::size_t cut = 0; cut < body.size(); ++cut) CHECK_FALSE(Message::decode(body.first(cut)));
  const auto longer = text + "x";
  const auto decoded = Message::decode(as_bytes(longer).subspan(5));
  REQUIRE_FALSE(decoded);
  CHECK(decoded.error() == errc::trailing_bytes);
}

template <class Message>
errc error_of(const std::string& body) {
  const auto decoded = Message::decode(as_bytes(body));
  REQUIRE_FALSE(decoded);
  return decoded.error();
}

}  // namespace

TEST_CASE("what a client sends") {
  using namespace frontend;
  strict(frontend::bind{"p", "s", {0, 1}, {"1", std::nullopt, "", "\0\xff"s}, {1}});
  strict(frontend::bind{});
  strict(frontend::close{target::portal, "p"});
  strict(frontend::describe{target::statement, ""});
  strict(copy_fail{"why"});
  strict(execute{"p", -1});
  strict(function_call{42, {1}, {"x", std::nullopt}, 1});
  strict(parse{"s", "select $1", {23, 0xffffffff}});
  strict(query{"select 1"});
  strict(password{"md5x"});
  strict(sasl_initial_response{"SCRAM-SHA-256", "n,,n=,r=x"});
  strict(sasl_initial_response{"SCRAM-SHA-256", std::nullopt});
  strict(copy_done{});
  strict(flush{});
  strict(frontend::sync{});
  strict(terminate{});
  round_trip(copy_data{"a\0b"s});
  round_trip(sasl_response{"c=biws"});
  round_trip(gss_response{"token"});
  const auto text = frontend::bind{"p", "s", {1}, {"1", std::nullopt}, {}}.encode();
  const auto decoded = frontend::bind::decode(as_bytes(text).subspan(5));
  REQUIRE(decoded);
  CHECK(decoded->statement == "s");
  CHECK(decoded->parameters == std::vector<std::optional<std::string_view>>{"1", std::nullopt});
}

TEST_CASE("what a server sends") {
  using namespace backend;
  using kind = authentication::kind;
  for (const auto bare :
       {kind::ok, kind::kerberos_v5, kind::cleartext_password, kind::scm_credential, kind::gss, kind::sspi}) {
    strict(authentication{bare, {}, {}});
  }
  strict(authentication{kind::md5_password, "salt", {}});
  strict(authentication{kind::sasl, {}, {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"}});
  for (const auto open : {kind::gss_continue, kind::sasl_continue, kind::sasl_final}) {
    round_trip(authentication{open, "words", {}});
  }
  round_trip(backend_key_data{cancel_key(1, as_bytes("abcd"))});
  round_trip(backend_key_data{cancel_key(1, as_bytes(std::string(256, 'x')))});
  strict(command_complete{"SELECT 1"});
  round_trip(copy_data{"x"});
  strict(copy_in_response{1, {1, 1}});
  strict(copy_out_response{0, {}});
  strict(copy_both_response{0, {0}});
  strict(data_row{{"1", std::nullopt, ""}});
  strict(error_response{{{'S', "ERROR"}, {'C', "42601"}}});
  strict(notice_response{});
  strict(function_call_response{std::nullopt});
  strict(function_call_response{"x"});
  strict(negotiate_protocol_version{3u << 16 | 2, {"_pq_.a", "_pq_.b"}});
  strict(notification_response{7, "channel", "payload"});
  strict(parameter_description{{23, 25}});
  strict(parameter_status{"TimeZone", "UTC"});
  for (const auto status : {transaction_status::idle, transaction_status::in_transaction, transaction_status::failed}) {
    strict(ready_for_query{status});
  }
  strict(row_description{{{"a", 1, 2, 23, 4, -1, 1}, {}}});
  strict(bind_complete{});
  strict(close_complete{});
  strict(backend::copy_done{});
  strict(empty_query_response{});
  strict(no_data{});
  strict(parse_complete{});
  strict(portal_suspended{});
}

TEST_CASE("values that the protocol does not know") {
  CHECK(error_of<frontend::close>("Xname\0"s) == errc::bad_field);
  CHECK(error_of<frontend::query>("select") == errc::missing_terminator);
  CHECK(error_of<frontend::sasl_initial_response>("x\0\xff\xff\xff\xfe"s) == errc::bad_field);
  CHECK(error_of<backend::data_row>("\0\1\xff\xff\xff\xfe"s) == errc::bad_field);
  CHECK(error_of<backend::data_row>("\0\1\x7f\xff\xff\xff"s) == errc::truncated);
  CHECK(error_of<backend::data_row>("\xff\xff"s) == errc::truncated);
  CHECK(error_of<backend::negotiate_protocol_version>("\0\3\0\0\xff\xff\xff\xff"s) == errc::missing_terminator);
  CHECK(error_of<backend::authentication>("\0\0\0\1"s) == errc::bad_field);
  CHECK(error_of<backend::ready_for_query>("x") == errc::bad_field);
  CHECK(error_of<backend::copy_in_response>("\2\0\0"s) == errc::bad_field);
  CHECK(error_of<backend::backend_key_data>("\0\0\0\1abc"s) == errc::bad_field);
  CHECK(error_of<backend::backend_key_data>("\0\0\0\1"s + std::string(257, 'x')) == errc::bad_field);
}

}  // namespace messages_test
