#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "protocol/frontend_messages.hpp"
#include "protocol/message_type.hpp"
#include "proxy/console/conversation.hpp"
#include "proxy/console/layouts.hpp"
#include "proxy/console/privilege.hpp"

namespace console_conversation_test {

namespace {

using namespace proxy::console;
namespace frontend = pgwire::frontend;
using step = conversation::step;

// A client and whoever carries out its commands: SHOW POOLS has `rows` rows, SHOW CLIENTS fails, the rest is done.
struct desk {
  explicit desk(privilege whose = privilege::everything) : may(whose) {}

  conversation talk{"root"};
  privilege may;
  std::size_t rows = 2;
  std::vector<command> asked;
  step last = step::starved;

  answer carry_out(const command& what) {
    if (auto refused = why_not(may, "root", what)) return answer::refused(std::move(*refused));
    asked.push_back(what);
    if (what.shown == thing::clients && what.what == verb::show)
      return answer::refused(refusal("XX000", "no clients today"));
    answer made;
    if (what.what == verb::show) {
      made.rows = table{columns_of(what.shown), 0, rows, [&what](std::size_t at, row& into) {
                          into.assign(columns_of(what.shown).size(), std::to_string(at));
                        }};
    }
    return made;
  }

  // The types of what comes back, and of errors the SQLSTATE.
  std::string hear(const std::string& bytes, std::size_t piece = 0) {
    std::string all;
    if (piece == 0) piece = std::max<std::size_t>(bytes.size(), 1);
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
      const std::string chunk = bytes.substr(at, piece);
      talk.feed(std::as_bytes(std::span(chunk)));
      for (bool more = true; more;) {
        std::string out;
        last = talk.advance(out);
        all += out;
        CHECK(out.size() < conversation::most_written + 64 * 1024);
        if (last == step::asks) {
          talk.keep();
          talk.answer_with(carry_out(talk.asked()));
        }
        more = last == step::asks || last == step::goes_on;
      }
    }
    return types_in(all);
  }

  static std::string types_in(const std::string& all) {
    std::string types;
    for (std::size_t at = 0; at < all.size();) {
      const auto* header = reinterpret_cast<const std::byte*>(all.data()) + at + 1;
      const std::size_t length = pgwire::load_u32(header);
      types += all[at];
      if (all[at] == 'E') {
        const auto fields = pgwire::parse_error_fields(std::as_bytes(std::span(all).subspan(at + 5, length - 4)));
        types += "(" + std::string(fields->code) + ")";
      }
      at += length + 1;
    }
    return types;
  }
};

std::string query(std::string_view text) { return frontend::query{text}.encode(); }
std::string parse_bind(std::string_view text, std::vector<std::optional<std::string_view>> values = {}) {
  frontend::bind bind;
  bind.parameters = std::move(values);
  return frontend::parse{"", text, {}}.encode() + bind.encode();
}
const std::string synced = frontend::sync{}.encode();

}  // namespace

TEST_CASE("simple queries are answered in order", "[console]") {
  desk at;
  const std::size_t piece = static_cast<std::size_t>(GENERATE(0, 1, 7));
  CHECK(at.hear(query("SHOW POOLS"), piece) == "TDDCZ");
  CHECK(at.hear(query("RELOAD; SHOW POOLS;"), piece) == "CTDDCZ");
  CHECK(at.hear(query(""), piece) == "IZ");
  CHECK(at.hear(query("SHOW POOLS; SHWO"), piece) == "E(42601)Z");
  CHECK(at.hear(query("RELOAD; SHOW CLIENTS; RELOAD"), piece) == "CE(XX000)Z");
  CHECK(at.hear(query("SHOW POOLS ORDER BY nothing"), piece) == "E(42703)Z");
  CHECK(at.hear(query("SHOW POOLS LIMIT $1"), piece) == "E(42P02)Z");
  CHECK(at.hear(query("SELECT version()") + query("BEGIN") + query("COMMIT"), piece) == "TDCZCZCZ");
  CHECK(at.talk.idle());
  CHECK(at.hear(frontend::terminate{}.encode(), piece).empty());
  CHECK(at.last == step::terminated);
}

TEST_CASE("extended queries: parse, bind, describe, execute, close", "[console]") {
  desk at;
  const auto describe = frontend::describe{frontend::target::statement, ""}.encode();
  const auto execute = frontend::execute{"", 0}.encode();
  CHECK(at.hear(parse_bind("SHOW POOLS") + describe + execute + synced) == "12tTDDCZ");
  CHECK(at.hear(parse_bind("HOLD $1", {{"acme"}}) + describe + execute + synced) == "12tnCZ");
  CHECK(at.asked.back().subject == "acme");
  CHECK(at.hear(parse_bind("") + execute + synced) == "12IZ");
  CHECK(at.hear(parse_bind("RELOAD; RELOAD") + execute + synced) == "E(42601)Z");
  CHECK(at.hear(parse_bind("HOLD $1") + execute + synced) == "1E(08P01)Z");
  CHECK(at.hear(parse_bind("SHOW CLIENTS") + execute + execute + synced + query("RELOAD")) == "12E(XX000)ZCZ");
  CHECK(at.hear(frontend::execute{"none", 0}.encode() + synced) == "E(34000)Z");
  CHECK(at.hear(frontend::close{frontend::target::portal, "none"}.encode() + synced) == "3Z");
  CHECK(at.talk.idle());
}

TEST_CASE("a portal gives its rows in portions", "[console]") {
  desk at;
  at.rows = 5;
  const auto two = frontend::execute{"", 2}.encode();
  CHECK(at.hear(query("BEGIN") + parse_bind("SHOW POOLS") + two + synced) == "CZ12DDsZ");
  CHECK(!at.talk.idle());
  CHECK(at.hear(two + synced + two + synced) == "DDsZDCZ");
  CHECK(at.hear(two + synced) == "E(55000)Z");
  CHECK(at.hear(query("ROLLBACK") + synced) == "CZZ");
  CHECK(at.asked.size() == 1);
}

TEST_CASE("who may only look changes nothing", "[console]") {
  desk at(privilege::looking);
  CHECK(at.hear(query("SHOW POOLS")) == "TDDCZ");
  CHECK(at.hear(query("SET application_name = x; RELOAD")) == "CE(42501)Z");
  CHECK(at.hear(query("HOLD acme; SHOW POOLS")) == "E(42501)Z");
  CHECK(at.hear(parse_bind("KILL") + frontend::execute{"", 0}.encode() + synced) == "12E(42501)Z");
  CHECK(at.asked.size() == 1);
}

TEST_CASE("a text that is too long is refused and not kept", "[console]") {
  desk at;
  const std::string huge(10'000'000, 'x');
  CHECK(at.hear(query(huge), 65'536) == "E(54000)Z");
  CHECK(at.hear(frontend::parse{"", huge, {}}.encode() + synced, 65'536) == "E(54000)Z");
  CHECK(at.hear(query("SHOW POOLS")) == "TDDCZ");
}

TEST_CASE("prepared statements have a bound", "[console]") {
  desk at;
  std::string all;
  for (int i = 0; i < 257; ++i) all += frontend::parse{"s" + std::to_string(i), "RELOAD", {}}.encode();
  const auto told = at.hear(all + synced);
  CHECK(told.ends_with("1E(54000)Z"));
  CHECK(at.hear(query("DISCARD ALL") + frontend::parse{"s0", "RELOAD", {}}.encode() + synced) == "CZ1Z");
}

TEST_CASE("a long table comes in slices", "[console]") {
  desk at;
  at.rows = 20'000;
  const auto told = at.hear(query("SHOW POOLS ORDER BY 1 DESC"));
  CHECK(std::ranges::count(told, 'D') == 20'000);
}

TEST_CASE("rows in binary", "[console]") {
  std::string out;
  const std::vector<std::int16_t> binary{1};
  write_row({{"a"}, {"b", column_type::int8}, {"c", column_type::int4}, {"d", column_type::boolean}},
            {"x", "258", std::nullopt, "t"}, binary, out);
  CHECK(out.substr(7) == std::string("\0\0\0\1x\0\0\0\10\0\0\0\0\0\0\1\2\xff\xff\xff\xff\0\0\0\1\1", 26));
}

TEST_CASE("what the protocol forbids ends the conversation", "[console]") {
  desk at;
  at.hear(std::string("p\0\0\0\4", 5));
  CHECK(at.last == step::fault);
  desk other;
  other.hear(std::string("B\0\0\0\5x", 6));
  CHECK(other.last == step::fault);
}

}  // namespace console_conversation_test
