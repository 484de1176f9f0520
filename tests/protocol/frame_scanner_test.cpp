// The scanner gives the same visits and the same sum of accepted bytes however a stream is cut.
#include "protocol/frame_scanner.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "protocol/frontend_messages.hpp"
#include "protocol/writer.hpp"

namespace frame_scanner_test {

using namespace pgwire;

namespace {

std::string message(char type, std::string_view body) {
  writer out;
  return out.begin(type).bytes(body).finish().take();
}

struct seen {
  char type;
  std::uint32_t body_length;
  std::string body;
  bool truncated;
  friend bool operator==(const seen&, const seen&) = default;
};

struct scanned {
  std::vector<seen> visits;
  std::size_t accepted = 0;
  std::optional<errc> error;
  char type = 0;
  bool at_boundary = false;
};

scanned scan(const frame_rules& rules, std::string_view stream, std::size_t chunk_size) {
  frame_scanner scanner(rules);
  scanned all;
  for (std::size_t at = 0; at < stream.size() && !all.error; at += chunk_size) {
    const auto chunk = stream.substr(at, chunk_size);
    const auto outcome = scanner.scan(as_bytes(chunk), [&](const frame& f) {
      all.visits.push_back({f.type, f.body_length, std::string(as_text(f.body)), f.truncated});
    });
    all.accepted += outcome.accepted;
    all.error = outcome.error;
    all.type = outcome.type;
  }
  all.at_boundary = scanner.at_boundary();
  return all;
}

frame_rules looking() {
  auto rules = frontend_rules();
  rules.of['Q'].look = frame_rules::attention::want_body;
  rules.of['S'].look = frame_rules::attention::want_body;
  rules.of['B'].look = frame_rules::attention::notice;
  return rules;
}

void put_length(std::string& text, std::uint32_t length) {
  writer out;
  text.replace(1, 4, out.u32(length).take());
}

}  // namespace

TEST_CASE("a stream gives the same visits in chunks of every size") {
  const std::string big(frame_scanner::most_wanted_body + 100, 'x');
  const std::string exact(frame_scanner::most_wanted_body, 'y');
  const auto stream = message('Q', "select 1") + message('S', "") + message('P', "unseen") + message('B', "bind") +
                      message('Q', big) + message('Q', exact) + message('d', "") + message('Q', "") + message('S', "");
  const std::vector<seen> expected{{'Q', 8, "select 1", false},
                                   {'S', 0, "", false},
                                   {'B', 4, "", false},
                                   {'Q', frame_scanner::most_wanted_body + 100, big.substr(100), true},
                                   {'Q', frame_scanner::most_wanted_body, exact, false},
                                   {'Q', 0, "", false},
                                   {'S', 0, "", false}};
  const auto rules = looking();
  for (std::size_t size = 1; size <= stream.size(); size += size < 200 ? 1 : 97) {
    const auto all = scan(rules, stream, size);
    INFO("chunks of " << size);
    REQUIRE(all.visits == expected);
    REQUIRE(all.accepted == stream.size());
    REQUIRE_FALSE(all.error);
    REQUIRE(all.at_boundary);
  }
  CHECK(scan(rules, stream, stream.size()).visits == expected);
}

TEST_CASE("nothing is visited without a rule, and a cut stream is not at a boundary") {
  const auto stream = message('Q', "select 1") + message('S', "");
  for (std::size_t cut = 1; cut < stream.size(); ++cut) {
    const auto all = scan(frontend_rules(), std::string_view(stream).substr(0, cut), 3);
    CHECK(all.visits.empty());
    CHECK(all.accepted == cut);
    CHECK(all.at_boundary == (cut == message('Q', "select 1").size()));
  }
}

TEST_CASE("bad headers stop the stream before them") {
  const auto good = message('S', "");
  const auto bad = [&](std::string header, errc code) {
    const auto whole = scan(frontend_rules(), good + header + good, 1000);
    CHECK(whole.accepted == good.size());
    CHECK(whole.error == code);
    CHECK(whole.type == header[0]);
    // Cut within the header: what went on with the earlier chunk is gone, of the later one nothing is
    // accepted.
    for (std::size_t cut = 1; cut < 5; ++cut) {
      const auto cut_up = scan(frontend_rules(), good + header + good, good.size() + cut);
      CHECK(cut_up.accepted == good.size() + cut);
      CHECK(cut_up.error == code);
    }
  };
  auto q = message('Q', "");
  put_length(q, 3);
  bad(q, errc::bad_length);
  put_length(q, 0);
  bad(q, errc::bad_length);
  put_length(q, 0xffffffff);
  bad(q, errc::bad_length);
  put_length(q, 0x3fffffff);
  bad(q, errc::bad_length);
  bad(message('S', "x"), errc::bad_length);
  bad(message('X', "x"), errc::bad_length);
  bad(message('E', std::string(9997, 'x')).substr(0, 5), errc::bad_length);
  bad(message('p', "secret"), errc::misplaced_message);
  bad(message('Z', "I"), errc::unknown_message_type);
  bad(message('\0', ""), errc::unknown_message_type);
  bad(message('\xff', ""), errc::unknown_message_type);
}

TEST_CASE("the largest lengths that are allowed") {
  auto q = message('Q', "");
  put_length(q, 0x3ffffffe);
  CHECK_FALSE(scan(frontend_rules(), q, 5).error);
  auto d = message('D', "");
  put_length(d, 0x7fffffff);
  CHECK_FALSE(scan(backend_rules(), d, 5).error);
  put_length(d, 0x80000000);
  CHECK(scan(backend_rules(), d, 5).error == errc::bad_length);
}

TEST_CASE("exactly the messages of each direction are known") {
  for (int type = 0; type < 256; ++type) {
    const char letter = static_cast<char>(type);
    const auto index = static_cast<std::size_t>(type);
    const auto among = [&](std::string_view types) { return types.contains(letter); };
    CHECK((frontend_rules().of[index].most_length > 0) == among("BCDEFHPQSXcdf"));
    CHECK((frontend_rules().of[index].fault == errc::misplaced_message) == among("p"));
    CHECK((backend_rules().of[index].most_length > 0) == among("123ACDEGHINSTVWZcdnst"));
    CHECK((backend_rules().of[index].fault == errc::misplaced_message) == among("RKv"));
  }
  CHECK(scan(backend_rules(), message('Z', ""), 9).error == errc::bad_length);
  CHECK(scan(backend_rules(), message('Z', "II"), 9).error == errc::bad_length);
  CHECK_FALSE(scan(backend_rules(), message('Z', "I"), 9).error);
}

}  // namespace frame_scanner_test
