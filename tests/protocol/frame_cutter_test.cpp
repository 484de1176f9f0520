#include "protocol/frame_cutter.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "protocol/byte_reader.hpp"

namespace frame_cutter_test {

namespace {

using pgwire::frame_cutter;
using pgwire::frame_rules;

// 'Q' is wanted whole up to 64 bytes, 'S' is noticed, 'd' passes in runs; nothing else is known.
const frame_rules& rules() {
  static const frame_rules made = [] {
    // A copy: g++ 12 forgets the members' default values when it computes a fresh one ahead of time.
    frame_rules rules = pgwire::frontend_rules();
    for (auto& rule : rules.of) rule.look = frame_rules::attention::none;
    for (const char type : {'Q', 'S', 'd'}) rules.of[static_cast<unsigned char>(type)].most_length = 1000;
    rules.of['Q'].look = frame_rules::attention::want_body;
    rules.of['S'].look = frame_rules::attention::notice;
    return rules;
  }();
  return made;
}

std::string message(char type, const std::string& body) {
  const auto length = static_cast<char>(body.size() + 4);
  return std::string(1, type) + std::string(3, '\0') + length + body;
}

struct seen {
  char type;
  std::string bytes;
  bool begins;
  bool ends;
  bool operator==(const seen&) const = default;
};

std::vector<seen> drain(frame_cutter& cutter) {
  std::vector<seen> all;
  while (const auto* piece = cutter.peek()) {
    all.push_back({piece->type, std::string(pgwire::as_text(piece->bytes)), piece->begins, piece->ends});
    cutter.pop();
  }
  return all;
}

}  // namespace

TEST_CASE("whole messages come one by one, those nobody looks at in runs") {
  frame_cutter cutter(rules(), 64);
  const std::string stream = message('d', "one") + message('d', "two") + message('Q', "select") + message('S', "");
  cutter.feed(pgwire::as_bytes(stream));
  CHECK(drain(cutter) == std::vector<seen>{{0, message('d', "one") + message('d', "two"), true, true},
                                           {'Q', message('Q', "select"), true, true},
                                           {'S', message('S', ""), true, true}});
  CHECK(cutter.at_boundary());
}

TEST_CASE("however the stream is cut, the same bytes come out and wanted messages come whole") {
  const std::string stream = message('d', std::string(40, 'x')) + message('Q', "select 1") + message('S', "") +
                             message('Q', std::string(100, 'y')) + message('d', "") + message('Q', "");
  for (std::size_t step = 1; step <= stream.size(); ++step) {
    frame_cutter cutter(rules(), 64);
    std::string out;
    int wanted = 0;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      const std::string chunk = stream.substr(at, step);
      cutter.feed(pgwire::as_bytes(chunk));
      for (const auto& piece : drain(cutter)) {
        out += piece.bytes;
        if (piece.type == 'Q' && piece.begins && piece.ends) ++wanted;
      }
    }
    CHECK(out == stream);
    CHECK(wanted >= 2);  // the one of 100 bytes is gathered by nobody, and whole only if the chunk has all of it
    CHECK(cutter.at_boundary());
  }
}

TEST_CASE("what is kept is given again, and the chunk may go") {
  for (std::size_t step = 1; step < 12; ++step) {
    const std::string stream = message('Q', "select 1") + message('d', "some data") + message('S', "");
    frame_cutter cutter(rules(), 64);
    std::string out;
    for (std::size_t at = 0; at < stream.size(); at += step) {
      std::string chunk = stream.substr(at, step);
      cutter.feed(pgwire::as_bytes(chunk));
      static_cast<void>(cutter.peek());
      cutter.keep();
      chunk.assign(chunk.size(), '!');
      while (const auto* piece = cutter.peek()) {
        cutter.keep();
        piece = cutter.peek();
        REQUIRE(piece != nullptr);
        out += pgwire::as_text(piece->bytes);
        cutter.pop();
      }
    }
    CHECK(out == stream);
    CHECK(cutter.at_boundary());
  }
}

TEST_CASE("bytes stay where they are after pop, until they are released") {
  frame_cutter cutter(rules(), 64);
  const std::string stream = message('Q', "x");
  const std::string first = stream.substr(0, 3);
  const std::string second = stream.substr(3);
  cutter.feed(pgwire::as_bytes(first));
  CHECK(cutter.peek() == nullptr);
  cutter.feed(pgwire::as_bytes(second));
  const auto bytes = cutter.peek()->bytes;
  cutter.pop();
  CHECK(cutter.peek() == nullptr);
  CHECK(pgwire::as_text(bytes) == stream);
  cutter.release();
}

TEST_CASE("a header that the rules forbid ends the stream, and what came before it is given") {
  frame_cutter cutter(rules(), 64);
  const std::string stream = message('d', "data") + message('z', "");
  cutter.feed(pgwire::as_bytes(stream));
  CHECK(drain(cutter).size() == 1);
  CHECK(cutter.fault() == pgwire::errc::unknown_message_type);
  CHECK(cutter.faulty_type() == 'z');

  frame_cutter lengths(rules(), 64);
  const std::string too_short("Q\0\0\0\3", 5);
  lengths.feed(pgwire::as_bytes(too_short));
  CHECK(lengths.peek() == nullptr);
  CHECK(lengths.fault() == pgwire::errc::bad_length);
}

TEST_CASE("rules may change between messages") {
  static frame_rules others = rules();
  others.of['d'].look = frame_rules::attention::want_body;
  frame_cutter cutter(rules(), 64);
  const std::string stream = message('S', "") + message('d', "1") + message('d', "2");
  cutter.feed(pgwire::as_bytes(stream));
  static_cast<void>(cutter.peek());
  cutter.pop();
  cutter.look_by(others, 64);
  CHECK(drain(cutter).size() == 2);
}

TEST_CASE("how much is gathered may change between messages") {
  frame_cutter cutter(rules(), 64);
  const std::string large = message('Q', std::string(100, 'x'));
  cutter.feed(pgwire::as_bytes(large));
  CHECK(drain(cutter).size() == 1);
  cutter.look_by(rules(), 200);
  const std::string begin = large.substr(0, 50), end = large.substr(50);
  cutter.feed(pgwire::as_bytes(begin));
  CHECK(drain(cutter).empty());
  CHECK(cutter.gathered() == begin.size());
  cutter.feed(pgwire::as_bytes(end));
  CHECK(drain(cutter).size() == 1);
  CHECK(cutter.gathered() == 0);
}

TEST_CASE("what was kept is given back") {
  frame_cutter cutter(rules(), 2000);
  const std::string stream = message('d', std::string(100, 'x')) + message('S', "");
  cutter.feed(pgwire::as_bytes(stream));
  cutter.keep();
  CHECK(cutter.held_bytes() > 0);
  CHECK(drain(cutter).size() == 2);
  cutter.release();
  CHECK(cutter.held_bytes() == 0);
}

TEST_CASE("what is put back is given again, and then what was left") {
  const std::string first = message('Q', "select 1") + message('d', "data"), second = message('Q', "select 2");
  const std::string stream = first + second + message('S', "") + message('Q', "select 3");
  // However much there was of what follows, and whether it was looked at or not.
  const auto end = GENERATE_COPY(range(first.size(), stream.size() + 1));
  const bool looks = GENERATE(true, false);
  const bool cut = GENERATE(true, false);
  frame_cutter cutter(rules(), 64);
  const std::string begun = first.substr(0, 3), rest = stream.substr(cut ? 3 : 0, end - (cut ? 3 : 0));
  if (cut) {
    cutter.feed(pgwire::as_bytes(begun));
    CHECK(drain(cutter).empty());
  }
  cutter.feed(pgwire::as_bytes(rest));
  std::string given;
  while (given.size() < first.size()) {
    const auto* piece = cutter.peek();
    REQUIRE(piece != nullptr);
    given += pgwire::as_text(piece->bytes);
    cutter.pop();
  }
  if (looks) static_cast<void>(cutter.peek());
  cutter.put_back(pgwire::as_bytes(given));
  std::string again;
  for (const auto& piece : drain(cutter)) again += piece.bytes;
  const std::string last = stream.substr(end);
  cutter.feed(pgwire::as_bytes(last));
  for (const auto& piece : drain(cutter)) again += piece.bytes;
  CHECK(again == stream);
  CHECK(cutter.at_boundary());
}

TEST_CASE("a fault behind what is put back is found again") {
  frame_cutter cutter(rules(), 64);
  const std::string good = message('Q', "select 1"), stream = good + message('!', "");
  cutter.feed(pgwire::as_bytes(stream));
  CHECK(drain(cutter).size() == 1);
  REQUIRE(cutter.fault());
  cutter.put_back(pgwire::as_bytes(good));
  CHECK_FALSE(cutter.fault());
  CHECK(drain(cutter).size() == 1);
  CHECK(cutter.fault());
}

}  // namespace frame_cutter_test
