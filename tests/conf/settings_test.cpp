// The table of settings against everything that is made to agree with it: readers, JSON Schemas, the reference page.
#include "conf/settings.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "conf/text_file.hpp"
#include "conf/yaml_document.hpp"
#include "tests/conf/reference_page.hpp"
#include "tests/conf/tools.hpp"

namespace settings_test {

namespace {

using conf::yaml_node;

std::string read(const std::string& name) {
  auto text = conf::read_text_file(std::filesystem::path(PGLODGE_CONF_FOLDER) / name, conf::yaml_document::most_bytes);
  REQUIRE(text);
  return *text;
}

const yaml_node* find(const yaml_node* node, std::string_view key) {
  if (node == nullptr) return nullptr;
  for (const auto& one : node->entries) {
    if (one.key != nullptr && one.key->text == key) return one.value;
  }
  return nullptr;
}

// JSON is YAML: a schema is read by the reader under test, and walked for the paths of its keys.
class schema {
 public:
  explicit schema(const std::string& name) : document_(conf::yaml_document::parse(read(name))) {
    REQUIRE(document_.root() != nullptr);
    walk(document_.root(), "");
  }
  [[nodiscard]] const std::map<std::string, const yaml_node*>& keys() const { return keys_; }
  [[nodiscard]] const yaml_node* resolved(const yaml_node* node) const {
    const yaml_node* ref = find(node, "$ref");
    if (ref == nullptr) return node;
    constexpr std::string_view prefix = "#/$defs/";
    REQUIRE(ref->text.starts_with(prefix));
    const yaml_node* target = find(find(document_.root(), "$defs"), ref->text.substr(prefix.size()));
    REQUIRE(target != nullptr);
    return target;
  }

 private:
  void walk(const yaml_node* node, const std::string& path) {
    node = resolved(node);
    if (const yaml_node* properties = find(node, "properties")) {
      for (const auto& one : properties->entries) {
        const std::string key = (path.empty() ? "" : path + ".") + std::string(one.key->text);
        keys_[key] = one.value;
        walk(one.value, key);
      }
    }
    if (const yaml_node* items = find(node, "items")) walk(items, path + ".*");
    if (const yaml_node* named = find(node, "additionalProperties")) walk(named, path + ".*");
    if (const yaml_node* patterns = find(node, "patternProperties")) {
      for (const auto& one : patterns->entries) walk(one.value, path + ".*");
    }
    if (const yaml_node* choices = find(node, "oneOf")) {
      for (const auto& one : choices->entries) walk(one.value, path);
    }
  }

  conf::yaml_document document_;
  std::map<std::string, const yaml_node*> keys_;
};

void compare(conf::file_kind file, const std::string& name) {
  const schema beside(name);
  std::set<std::string> in_table, in_schema;
  for (const auto& row : conf::all_settings()) {
    if (row.file == file) in_table.insert(row.path);
  }
  for (const auto& one : beside.keys()) in_schema.insert(one.first);
  CHECK(in_table == in_schema);
  for (const auto& row : conf::all_settings()) {
    if (row.file != file || !beside.keys().contains(row.path)) continue;
    INFO(row.path);
    const yaml_node* key = beside.keys().at(row.path);
    const yaml_node* description = find(key, "description");
    REQUIRE(description != nullptr);
    CHECK(description->text == row.doc);
    if (const yaml_node* words = find(key, "enum"); row.type.contains(" | ")) {
      REQUIRE(words != nullptr);
      std::vector<std::string_view> listed;
      for (const auto& one : words->entries) {
        if (one.value->quoted) listed.push_back(one.value->text);
      }
      CHECK(listed == conf::words_of(row.type));
    }
  }
}

}  // namespace

TEST_CASE("the schema of pglodge.yaml has the table's keys, and no others", "[settings]") {
  compare(conf::file_kind::daemon, "pglodge.schema.json");
}

TEST_CASE("the schema of routes.yaml has the table's keys, and no others", "[settings]") {
  compare(conf::file_kind::routes, "routes.schema.json");
}

TEST_CASE("reference.md is what the table gives", "[settings]") {
  const std::string page = read("reference.md");
  const auto generated = page.find(tests::reference_marker);
  REQUIRE(generated != std::string::npos);
  INFO("pglodge_reference --update conf/reference.md writes it anew");
  CHECK(page.substr(generated) == tests::generated_reference());
}

TEST_CASE("rows are sound", "[settings]") {
  std::set<std::pair<conf::file_kind, std::string>> seen;
  for (const auto& row : conf::all_settings()) {
    INFO(row.path);
    CHECK(seen.insert({row.file, row.path}).second);
    CHECK(row.doc.ends_with('.'));
    CHECK_FALSE(row.type.empty());
    if (row.later.empty()) continue;
    const auto all = conf::words_of(row.type);
    for (const auto word : conf::words_of(row.later)) CHECK(std::ranges::find(all, word) != all.end());
  }
}

TEST_CASE("every key of the contract's samples is shown in ours", "[settings]") {
  for (const auto& [file, name] :
       {std::pair{conf::file_kind::daemon, "pglodge.yaml"}, {conf::file_kind::routes, "routes.yaml"}}) {
    const std::string text = read(name);
    for (const auto& row : conf::all_settings()) {
      if (row.file != file) continue;
      const std::string key = row.path.substr(row.path.rfind('.') + 1) + ":";
      INFO(row.path);
      CHECK(text.contains(key));
    }
  }
}

TEST_CASE("a key that is covered by one not in force does not speak", "[settings]") {
  const auto& root = conf::keys_of(conf::file_kind::routes);
  const auto* limits = root.find("tenants")->each->find("limits");
  REQUIRE(limits != nullptr);
  CHECK_FALSE(limits->covered);
  CHECK_FALSE(root.find("servers")->each->find("tls")->find("mode")->covered);
  CHECK(root.find("nothing") == nullptr);
}

}  // namespace settings_test
