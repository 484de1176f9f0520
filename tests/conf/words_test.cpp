#include "conf/words.hpp"

#include <array>
#include <catch2/catch.hpp>

namespace words_test {

TEST_CASE("the nearest word is suggested, if it is near", "[words]") {
  constexpr std::array<std::string_view, 4> words{"workers", "listen", "max_connections", "tls"};
  CHECK(conf::nearest("wrokers", words) == "workers");
  CHECK(conf::nearest("Listen", words) == "listen");
  CHECK(conf::nearest("max_conections", words) == "max_connections");
  CHECK(conf::nearest("maxconnections", words) == "max_connections");
  CHECK(conf::nearest("tsl", words) == "tls");
  CHECK(conf::nearest("timeouts", words).empty());
  CHECK(conf::nearest("", words).empty());
  CHECK(conf::nearest(std::string(100'000, 'x'), words).empty());
  CHECK(conf::did_you_mean("wrokers", words) == "; did you mean \"workers\"?");
  CHECK(conf::did_you_mean("nothing", words).empty());
}

TEST_CASE("lists of words read as a sentence", "[words]") {
  constexpr std::array<std::string_view, 3> words{"a", "b", "c"};
  CHECK(conf::any_of_words(words) == "a, b or c");
  CHECK(conf::any_of_words(std::span(words).first(2)) == "a or b");
  CHECK(conf::any_of_words(std::span(words).first(1)) == "a");
}

TEST_CASE("what is quoted is fit for a log line", "[words]") {
  CHECK(conf::in_quotes("plain") == "\"plain\"");
  CHECK(conf::in_quotes("a\"b\\c\n\x1b") == "\"a\\\"b\\\\c\\x0a\\x1b\"");
  CHECK(conf::in_quotes(std::string(100, 'x')) == "\"" + std::string(80, 'x') + "…\"");
  CHECK(conf::in_quotes(std::string(79, 'x') + "éé") == "\"" + std::string(79, 'x') + "…\"");
}

TEST_CASE("a path quotes only parts that need it", "[words]") {
  std::string path;
  for (const auto* part : {"tenants", "trial-*", "no good", "", "settings", "app.tenant", "0"})
    conf::append_path_part(path, part);
  CHECK(path == "tenants.trial-*.\"no good\".\"\".settings.app.tenant.0");
}

}  // namespace words_test
