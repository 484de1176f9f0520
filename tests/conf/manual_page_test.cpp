// The manual pages of the two files against the table of settings.
#include "tests/conf/manual_page.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <sstream>

namespace manual_page_test {

namespace {

std::string page_of(const std::string& name) {
  std::stringstream text;
  text << std::ifstream(std::string(PGLODGE_MANUAL_FOLDER) + "/" + name).rdbuf();
  REQUIRE_FALSE(text.str().empty());
  return text.str();
}

}  // namespace

TEST_CASE("the manual pages are what the table gives", "[settings]") {
  INFO("pglodge_reference --update packaging/man/*.5 writes them anew");
  for (const auto& [file, name] :
       {std::pair{conf::file_kind::daemon, "pglodge.yaml.5"}, {conf::file_kind::routes, "routes.yaml.5"}}) {
    const std::string page = page_of(name);
    CHECK(page == tests::updated_manual(page, file));
  }
}

TEST_CASE("nothing of the table is read as a request by roff", "[settings]") {
  for (const auto file : {conf::file_kind::daemon, conf::file_kind::routes}) {
    std::istringstream lines(tests::generated_manual(file));
    for (std::string line; std::getline(lines, line);) {
      INFO(line);
      CHECK(line.size() <= 100);
      CHECK_FALSE(line.starts_with('\''));
      if (!line.starts_with('.')) continue;
      const bool ours = line.starts_with(".It Sy ") || line == ".br" || line.starts_with(".Bl ") || line == ".El" ||
                        line.starts_with(".\\\"");
      CHECK(ours);
    }
  }
}

TEST_CASE("a page without its two marks is left alone", "[settings]") {
  CHECK(tests::updated_manual("", conf::file_kind::daemon).empty());
  CHECK(tests::updated_manual(tests::manual_begin, conf::file_kind::daemon).empty());
  CHECK(
      tests::updated_manual(std::string(tests::manual_end) + std::string(tests::manual_begin), conf::file_kind::daemon)
          .empty());
}

}  // namespace manual_page_test
