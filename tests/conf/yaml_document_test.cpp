#include "conf/yaml_document.hpp"

#include <catch2/catch.hpp>

#include "conf/utf8.hpp"
#include "tests/conf/tools.hpp"

namespace yaml_document_test {

using conf::yaml_document;
using conf::yaml_kind;
using conf::yaml_node;

namespace {

// "file:line:column" and the words of the only problem.
std::string only_problem(const std::string& text) {
  const auto document = yaml_document::parse(text);
  if (document.problems().size() != 1) return std::to_string(document.problems().size()) + " problems";
  const auto& one = document.problems().front();
  return std::to_string(one.at.line) + ":" + std::to_string(one.at.column) + ": " + one.what;
}

const yaml_node& value_of(const yaml_node& mapping, std::string_view key) {
  for (const auto& one : mapping.entries) {
    if (one.key->text == key) return *one.value;
  }
  throw std::runtime_error("no such key");
}

}  // namespace

TEST_CASE("a document is a tree of nodes with places", "[yaml]") {
  const auto document =
      yaml_document::parse("a: {b: \"c\", é: d}\nlist:\n  - 1\n  - 'two'\nnone:\nblock: |\n  text\n~: x\n");
  REQUIRE(document.root() != nullptr);
  const yaml_node& root = *document.root();
  CHECK(root.kind == yaml_kind::mapping);
  const yaml_node& inner = value_of(root, "a");
  CHECK(inner.at == conf::position{1, 4});
  CHECK(value_of(inner, "b").quoted);
  CHECK(value_of(inner, "b").at == conf::position{1, 8});
  CHECK_FALSE(value_of(inner, "é").quoted);
  CHECK(value_of(inner, "é").at == conf::position{1, 16});
  const yaml_node& list = value_of(root, "list");
  CHECK(list.kind == yaml_kind::sequence);
  REQUIRE(list.entries.size() == 2);
  CHECK(list.entries[0].key == nullptr);
  CHECK(list.entries[1].value->text == "two");
  CHECK(list.entries[1].value->at == conf::position{4, 5});
  CHECK(value_of(root, "none").kind == yaml_kind::null);
  CHECK(value_of(root, "none").at == conf::position{5, 1});  // not where the next key stands
  CHECK(value_of(root, "block").text == "text\n");
  CHECK(value_of(root, "block").quoted);
  CHECK(only_problem("~: x\n") == "1:1: a key must be plain text; put it in quotes");
}

TEST_CASE("columns count characters, lines count either way of ending them", "[yaml]") {
  const auto document = yaml_document::parse(
      "\xef\xbb\xbf"
      "ü: {é: €, x: 😀, y: z}\r\nb: c\r\n");
  const yaml_node& inner = value_of(*document.root(), "ü");
  CHECK(value_of(inner, "é").at == conf::position{1, 8});
  CHECK(value_of(inner, "x").at == conf::position{1, 14});
  CHECK(value_of(inner, "y").at == conf::position{1, 20});
  CHECK(value_of(*document.root(), "b").at == conf::position{2, 4});
  CHECK(value_of(*document.root(), "b").text == "c");
}

TEST_CASE("an empty document has no root and no problem", "[yaml]") {
  for (const auto* text : {"", "\n\n", "# only a comment\n", "---\n", "~\n", "null", "\xef\xbb\xbf"}) {
    INFO(text);
    const auto document = yaml_document::parse(text);
    CHECK(document.root() == nullptr);
    CHECK(document.is_yaml());
    CHECK(document.problems().empty());
  }
}

TEST_CASE("what is no YAML has one problem, with its place", "[yaml]") {
  for (const auto* text : {"a: [", "a: {b", "\tx: {{{", "a: 'open", "a: b: c", "a: *none", "a: 1\n---\nb: 2\n",
                           "- a\nb: c\n", "a: %", "@a"}) {
    INFO(text);
    const auto document = yaml_document::parse(text);
    CHECK(document.root() == nullptr);
    CHECK_FALSE(document.is_yaml());
    CHECK(document.problems().size() == 1);
  }
  CHECK(only_problem("a: 1\n---\nb: 2\n") ==
        "2:1: a second document begins here (---); a file holds one, so remove the line");
}

TEST_CASE("duplicate keys name the place of the first", "[yaml]") {
  CHECK(only_problem("a: 1\nb: 2\n\"a\": 3\n") ==
        "3:1: duplicate key, first written at line 1, column 1; keep one of them");
  std::string many;
  for (int i = 0; i < 100; ++i) many += "k" + std::to_string(i) + ": 1\n";
  CHECK(yaml_document::parse(many).problems().empty());
  CHECK(only_problem(many + "k0: 2\n") == "101:1: duplicate key, first written at line 1, column 1; keep one of them");
  CHECK(only_problem(many + "k99: 2\n") ==
        "101:1: duplicate key, first written at line 100, column 1; keep one of them");
  // The first is the one that counts.
  const auto document = yaml_document::parse("a: 1\na: 2\n");
  CHECK(value_of(*document.root(), "a").text == "1");
  CHECK(document.root()->entries.size() == 1);
  // However many there are, what is told has a bound.
  std::string repeated;
  for (int i = 0; i < 1000; ++i) repeated += "a: 1\n";
  CHECK(yaml_document::parse(repeated).problems().size() == yaml_document::most_problems);
}

TEST_CASE("an alias is the same node", "[yaml]") {
  const auto document = yaml_document::parse("a: &x { k: v }\nb: *x\nc: [*x, *x]\n");
  REQUIRE(document.root() != nullptr);
  CHECK(&value_of(*document.root(), "a") == &value_of(*document.root(), "b"));
  CHECK(value_of(*document.root(), "c").entries[1].value == &value_of(*document.root(), "a"));
  CHECK(only_problem("a: &x { k: *x }") == "1:12: an alias (*name) inside what it stands for");
  CHECK(only_problem("a: &x [[*x]]") == "1:9: an alias (*name) inside what it stands for");
}

TEST_CASE("aliases of aliases end before memory does", "[yaml]") {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 20; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 1; j < 10; ++j) laughs += ", " + before;
    laughs += "]\n";
  }
  const auto document = yaml_document::parse(laughs);
  CHECK(document.root() == nullptr);
  REQUIRE(document.problems().size() == 1);
  CHECK(document.problems().front().what == "aliases make this larger than can be read");
}

TEST_CASE("nesting has a bound", "[yaml]") {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  CHECK(yaml_document::parse(nested(yaml_document::most_depth)).root() != nullptr);
  CHECK(only_problem(nested(yaml_document::most_depth + 1)) == "1:33: nested deeper than 32 levels");
  CHECK_FALSE(yaml_document::parse(std::string(100'000, '[')).is_yaml());
  CHECK_FALSE(yaml_document::parse(std::string(100'000, '{')).is_yaml());
  std::string dashes;
  for (int i = 0; i < 100'000; ++i) dashes += "- ";
  CHECK_FALSE(yaml_document::parse(dashes).is_yaml());
}

TEST_CASE("tags have no meaning, save that of text", "[yaml]") {
  CHECK(only_problem("a: !secret x") == "1:4: the tag \"!secret\" has no meaning here; remove it");
  CHECK(only_problem("a: !!int 5") == "1:4: the tag \"tag:yaml.org,2002:int\" has no meaning here; remove it");
  const auto document = yaml_document::parse("a: !!str 5");
  CHECK(document.problems().empty());
  CHECK(value_of(*document.root(), "a").quoted);
}

TEST_CASE("a file is UTF-8 text", "[yaml]") {
  CHECK_FALSE(conf::find_bad_text("plain\tand\r\né € 😀\n"));
  for (const auto* bad : {"\x80", "\xc0\xaf", "\xc3", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
                          "\xf4\x90\x80\x80", "\xff\xfe!", "\x01", "\x7f"}) {
    CHECK(conf::find_bad_text(bad));
  }
  CHECK(conf::find_bad_text(std::string_view("a\0b", 3)));
  const auto found = conf::find_bad_text("a: é\nb: é\xff\n");
  REQUIRE(found);
  CHECK(found->at == conf::position{2, 5});
  CHECK(only_problem("a: 1\nb: \x04\n") ==
        "2:4: a control character (byte 0x04); remove it, or write it as an escape in double quotes");
}

}  // namespace yaml_document_test
