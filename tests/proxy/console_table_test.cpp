#include <catch2/catch.hpp>
#include <string>

#include "proxy/console/layouts.hpp"
#include "proxy/console/table.hpp"

namespace console_table_test {

namespace {

using namespace proxy::console;

table people() {
  return table::of({{"name"}, {"age", column_type::int8}, {"town"}},
                   {{"ann", "9", "x"}, {"bob", "10", std::nullopt}, {"abe", "10", "y"}, {"cid", std::nullopt, "x"}});
}

std::string names(const refinement& how) {
  auto from = selection::make(people(), how);
  REQUIRE(from);
  std::string all;
  for (auto step = from->next(); step != selection::step::end; step = from->next()) {
    if (step == selection::step::found) all += *from->current()[0] + " ";
  }
  return all;
}

}  // namespace

TEST_CASE("a selection filters, orders and cuts", "[console]") {
  CHECK(names({}) == "ann bob abe cid ");
  CHECK(names({"a%", "", false, {}}) == "ann abe ");
  CHECK(names({{}, "age", false, {}}) == "ann bob abe cid ");
  CHECK(names({{}, "age", true, {}}) == "cid bob abe ann ");
  CHECK(names({{}, "name", false, 2}) == "abe ann ");
  CHECK(names({{}, "3", false, {}}) == "ann cid abe bob ");
  CHECK(names({"a%", "name", true, 1}) == "ann ");
  CHECK(names({{}, "name", false, 0}) == "");
  const auto error = selection::make(people(), {{}, "nmae", false, {}});
  REQUIRE(!error);
  CHECK(error.error().code == "42703");
  CHECK(error.error().hint.find("\"name\"") != std::string::npos);
  CHECK(!selection::make(people(), {{}, "4", false, {}}));
}

TEST_CASE("LIKE is PostgreSQL's", "[console]") {
  CHECK(is_like("acme", "acme"));
  CHECK(is_like("acme", "%c%"));
  CHECK(is_like("acme", "a_me"));
  CHECK(is_like("", "%%"));
  CHECK(is_like("a%b", "a\\%b"));
  CHECK(is_like("abcabd", "%abd"));
  CHECK(!is_like("axb", "a\\%b"));
  CHECK(!is_like("acme", "acm"));
  CHECK(!is_like("", "_"));
  CHECK(!is_like(std::string(5000, 'a'), "%a%a%a%a%a%a%a%a%b"));
}

TEST_CASE("every table has columns, and a key among them", "[console]") {
  for (std::size_t i = 0; i < thing_count; ++i) {
    const auto what = static_cast<thing>(i);
    CHECK(key_of(what) < columns_of(what).size());
  }
  CHECK(columns_of(thing::stats)[1].name == "total_server_assignment_count");
  CHECK(columns_of(thing::stats_totals)[4].name == "bytes_received");
  CHECK(columns_of(thing::stats)[15].name == "avg_recv");
}

TEST_CASE("what is longer than a sorted run is in order, whatever was read in between", "[console]") {
  std::vector<row> rows;
  for (int i = 0; i < 2000; ++i) rows.push_back({std::to_string(i), std::to_string((i * 7919) % 1000)});
  auto from = selection::make(table::of({{"name"}, {"age", column_type::int8}}, rows), {{}, "age", true, {}});
  REQUIRE(from);
  std::size_t found = 0;
  int age = 999;
  int name = -1;
  for (auto step = from->next(); step != selection::step::end; step = from->next()) {
    if (step != selection::step::found) continue;
    const int next = std::stoi(*from->current()[1]);
    const int who = std::stoi(*from->current()[0]);
    if (next > age || (next == age && who < name)) FAIL("out of order at " << found);
    age = next;
    name = who;
    ++found;
  }
  CHECK(found == 2000);
}

}  // namespace console_table_test
