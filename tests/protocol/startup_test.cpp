// The packets without a type byte, the cancel key, and the words for errors.
#include "protocol/startup.hpp"

#include <catch2/catch.hpp>

#include "protocol/backend_messages.hpp"
#include "protocol/error_response.hpp"
#include "protocol/writer.hpp"

namespace startup_test {

using namespace pgwire;

namespace {

std::string packet(std::uint32_t code, std::string_view body) {
  writer out;
  return out.begin_untyped().u32(code).bytes(body).finish().take();
}
constexpr std::uint32_t v3 = 3u << 16;

std::optional<errc> error_of(std::string_view bytes) {
  const auto parsed = parse_first_packet(as_bytes(bytes));
  return parsed ? std::nullopt : std::optional(parsed.error());
}

startup_message asking(std::uint16_t minor, std::vector<std::string> options = {}) {
  return {.version = {3, minor}, .parameters = {{"user", "u"}}, .protocol_options = std::move(options)};
}

using namespace std::string_literals;

}  // namespace

TEST_CASE("a startup message comes back as it was written") {
  const parameter_list parameters{{"user", "u"}, {"database", ""}, {"options", "-c a=b"}};
  const auto text = encode_startup({3, 2}, parameters);
  const auto parsed = parse_first_packet(as_bytes(text));
  REQUIRE(parsed);
  const auto& message = std::get<startup_message>(*parsed);
  CHECK(message.version == protocol_version{3, 2});
  CHECK(message.parameters == parameters);
  CHECK(*message.find("options") == "-c a=b");
  CHECK(message.find("User") == nullptr);
  for (std::size_t cut = 0; cut < text.size(); ++cut) CHECK(error_of(std::string_view(text).substr(0, cut)));
  // Cut with a length that fits, it is never a whole list either.
  for (std::size_t cut = 8; cut < text.size(); ++cut) {
    CAPTURE(cut);
    CHECK(error_of(packet(3u << 16 | 2, std::string_view(text).substr(8, cut - 8))) == errc::missing_terminator);
  }
}

TEST_CASE("bad startup packets") {
  CHECK(error_of("\0\0\0\7\0\0\0"s) == errc::startup_too_short);
  CHECK(error_of(packet(v3, std::string(9993, 'x'))) == errc::startup_too_long);
  CHECK(error_of(packet(v3, std::string(9992, 'x'))) == errc::missing_terminator);
  CHECK(error_of(packet(v3, "user\0u\0\0"s) + "x") == errc::bad_length);
  CHECK(error_of(packet(v3, "user\0u\0\0x"s)) == errc::trailing_bytes);
  CHECK(error_of(packet(v3, "user\0u\0\0v\0\0"s)) == errc::empty_parameter_name);
  CHECK(error_of(packet(v3, "user\0u\0user\0v\0\0"s)) == errc::duplicate_parameter);
  CHECK(error_of(packet(v3, "user\0u\0_pq_.a\0\0_pq_.a\0\0\0"s)) == errc::duplicate_parameter);
  CHECK(error_of(packet(v3, "database\0u\0\0"s)) == errc::no_user);
  CHECK(error_of(packet(v3, "user\0\0\0"s)) == errc::no_user);
  CHECK(error_of(packet(v3, "\0"s)) == errc::no_user);
  CHECK(error_of(packet(v3, "")) == errc::missing_terminator);
  CHECK(error_of(packet(2u << 16, "user\0u\0\0"s)) == errc::unsupported_protocol);
  CHECK(error_of(packet(4u << 16, "user\0u\0\0"s)) == errc::unsupported_protocol);
  CHECK(error_of(packet(1234u << 16 | 5681, "")) == errc::unsupported_protocol);
  CHECK(error_of(packet(1234u << 16 | 5679, "x")) == errc::trailing_bytes);
}

TEST_CASE("encryption and cancel requests") {
  CHECK(std::holds_alternative<ssl_request>(*parse_first_packet(as_bytes(encode_ssl_request()))));
  CHECK(std::holds_alternative<ssl_request>(*parse_first_packet(as_bytes(packet(1234u << 16 | 5679, "")))));
  CHECK(std::holds_alternative<gssenc_request>(*parse_first_packet(as_bytes(packet(1234u << 16 | 5680, "")))));
  for (const std::size_t size : {4u, 32u, 256u}) {
    const std::string secret(size, 's');
    const cancel_key key(-7, as_bytes(secret));
    const auto text = encode_cancel_request(key);
    const auto parsed = parse_first_packet(as_bytes(text));
    REQUIRE(parsed);
    CHECK(std::get<cancel_request>(*parsed).key == key);
  }
  for (const std::size_t size : {0u, 1u, 3u, 257u}) {
    CHECK(error_of(packet(1234u << 16 | 5678, std::string(4 + size, 's'))) == errc::bad_length);
  }
  CHECK(error_of(packet(1234u << 16 | 5678, "")) == errc::bad_length);
}

TEST_CASE("cancel keys differ by process id, length and every byte") {
  const std::string secret(32, 'a');
  const cancel_key key(1, as_bytes(secret));
  CHECK(key == cancel_key(1, as_bytes(secret)));
  CHECK_FALSE(key == cancel_key(2, as_bytes(secret)));
  CHECK_FALSE(cancel_key(1, as_bytes("abcd")) == cancel_key(1, as_bytes("abcd\0"s)));
  for (std::size_t i = 0; i < secret.size(); ++i) {
    auto other = secret;
    other[i] = 'b';
    CHECK_FALSE(key == cancel_key(1, as_bytes(other)));
  }
}

TEST_CASE("versions are negotiated") {
  CHECK(negotiate(asking(0)).version == protocol_version{3, 0});
  CHECK_FALSE(negotiate(asking(0)).must_tell);
  CHECK(negotiate(asking(1)).version == protocol_version{3, 0});
  CHECK(negotiate(asking(2)).version == protocol_version{3, 2});
  CHECK_FALSE(negotiate(asking(2)).must_tell);
  CHECK(negotiate(asking(9999)).version == protocol_version{3, 2});
  CHECK(negotiate(asking(9999)).must_tell);
  const auto outcome = negotiate(asking(0, {"_pq_.x"}));
  CHECK(outcome.must_tell);
  const auto text = encode_negotiate(outcome);
  const auto told = backend::negotiate_protocol_version::decode(as_bytes(text).subspan(5));
  REQUIRE(told);
  CHECK(told->newest == v3);
  CHECK(told->unknown_options == std::vector<std::string_view>{"_pq_.x"});
}

TEST_CASE("every error has words, and every report reads back") {
  for (int i = 0; i <= static_cast<int>(errc::bad_options); ++i) {
    const auto code = static_cast<errc>(i);
    CHECK(describe(code).sqlstate.size() == 5);
    CHECK_FALSE(describe(code).text.empty());
    const auto text = encode_error(report_for(code));
    CHECK(text[0] == 'E');
    const auto fields = parse_error_fields(as_bytes(text).subspan(5));
    REQUIRE(fields);
    CHECK(fields->code == describe(code).sqlstate);
    CHECK(fields->message == describe(code).text);
    CHECK(is_fatal(*fields));
  }
}

TEST_CASE("error fields are all optional, and must end") {
  const auto parse = [](std::string_view body) { return parse_error_fields(as_bytes(body)); };
  CHECK(parse("\0"s)->code.empty());
  CHECK_FALSE(is_fatal(*parse("\0"s)));
  CHECK(parse("SPANIK\0?x\0\0"s)->severity == "PANIK");
  CHECK(is_fatal(*parse("SFATALE\0VFATAL\0\0"s)));
  CHECK_FALSE(is_fatal(*parse("VERROR\0SFATAL\0\0"s)));
  CHECK(parse("Dd\0Hh\0\0"s)->hint == "h");
  CHECK(parse("").error() == errc::missing_terminator);
  CHECK(parse("SFATAL").error() == errc::missing_terminator);
  CHECK(parse("SFATAL\0"s).error() == errc::missing_terminator);
  CHECK(parse("\0x"s).error() == errc::trailing_bytes);
  error_report report{.severity = "NOTICE", .code = "00000", .message = "m", .detail = "d", .hint = "h"};
  const auto text = encode_notice(report);
  CHECK(text[0] == 'N');
  CHECK(parse(std::string_view(text).substr(5))->detail == "d");
}

}  // namespace startup_test
