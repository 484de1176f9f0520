// The users file: what it holds, every mistake with its line, and that no error tells a secret.
#include "proxy/auth/users_file.hpp"

#include "tests/temporary_folder.hpp"

#include <stdlib.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "proxy/auth/secret_file.hpp"

namespace auth_users_file_test {

using namespace proxy;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view scram_text =
    "SCRAM-SHA-256$4096:AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

std::string scram_line(std::string_view name, std::string_view iterations = "4096") {
  std::string secret(scram_text);
  secret.replace(secret.find("4096"), 4, iterations);
  return '"' + std::string(name) + "\" \"" + secret + "\"\n";
}

std::string error_of(std::string_view text) {
  const auto reading = parse_users(text, "users.txt");
  CHECK((reading.users == nullptr) == !reading.errors.empty());
  return reading.errors.empty() ? "" : reading.errors.front();
}

std::string password_of(std::string_view text, std::string_view role) {
  const auto reading = parse_users(text, "users.txt");
  REQUIRE(reading.errors.empty());
  const auto* password = reading.users->password(role);
  return password != nullptr ? std::string(password->view()) : "none";
}

struct folder : tests::temporary_folder {
  fs::path write(const std::string& name, std::string_view text, mode_t mode = 0600) const {
    auto file = temporary_folder::write(name, text);
    ::chmod(file.c_str(), mode);
    return file;
  }
};

}  // namespace

TEST_CASE("the three kinds of secrets") {
  const auto reading = parse_users(
      "\"a\" \"open sesame\"\n\"b\" \"md50123456789abcdef0123456789abcdef\"\n" + scram_line("c") + "\"d\" \"\"\n",
      "users.txt");
  REQUIRE(reading.errors.empty());
  CHECK(reading.users->size() == 4);
  const auto kind = [&](std::string_view role) { return (*reading.users->find(role))->kind(); };
  CHECK(kind("a") == secret_kind::plain);
  CHECK(kind("b") == secret_kind::md5);
  CHECK(kind("c") == secret_kind::scram);
  REQUIRE(reading.users->find("d") != nullptr);
  CHECK(*reading.users->find("d") == nullptr);
  CHECK(reading.users->find("e") == nullptr);
  CHECK(reading.users->find("A") == nullptr);
  CHECK(reading.users->password("b") == nullptr);
  CHECK(reading.users->password("d") == nullptr);
  CHECK(reading.users->password("e") == nullptr);
}

TEST_CASE("how lines may look") {
  CHECK(password_of("\"a\" \"b\"", "a") == "b");
  CHECK(password_of("\"a\" \"b\"\r\n\r\n", "a") == "b");
  CHECK(password_of("\n\n  \t\n; \"a\" \"x\"\n  ; more\n\"a\"\t \"b\" \"ignored\" ; so is this \" too\n", "a") == "b");
  CHECK(password_of("  \"a\" \"b\"\n", "a") == "b");
  CHECK(password_of("\"say \"\"a\"\"\" \"\"\"b\"\"\"\n", "say \"a\"") == "\"b\"");
  CHECK(password_of("\"a\" \" b ; # \"\n", "a") == " b ; # ");
  CHECK(password_of("\"\xC3\xA4\" \"\xC3\xB6\"\n", "\xC3\xA4") == "\xC3\xB6");
  CHECK(parse_users("", "users.txt").users->size() == 0);
}

TEST_CASE("mistakes have their line and do not tell what it holds") {
  const std::string long_name(64, 'n');
  const std::string long_secret(pgwire::most_password_bytes + 1, 's');
  const auto [line, what] = GENERATE_REF(table<std::string, std::string>({
      {"geheim \"x\"", "a name and a secret must stand here, each in double quotes"},
      {"'geheim' \"x\"", "a name and a secret must stand here, each in double quotes"},
      {"\"a\" geheim", "a name and a secret must stand here, each in double quotes"},
      {"\"geheim", "a double quote is not closed on its line"},
      {"\"a\" \"geheim", "a double quote is not closed on its line"},
      {"\"a\" \"geheim\"\"", "a double quote is not closed on its line"},
      {"\"a\"\"geheim\"", "no secret behind the name; write \"\" for none"},
      {"\"geheim\"", "no secret behind the name; write \"\" for none"},
      {"\"a\" \"geheim\"x", "a blank must stand behind the closing quote; a quote within is written twice"},
      {"\"a\"x \"geheim\"", "a blank must stand behind the closing quote; a quote within is written twice"},
      {"# \"a\" \"geheim\"", "a comment begins with ';' here, not with '#'"},
      {std::string("\"a\" \"ge\0heim\"", 13), "holds a zero byte"},
      {"\"\" \"geheim\"", "the name can be no role's: it has 1 to 63 bytes, none of them a control character"},
      {"\"a\tb\" \"geheim\"", "the name can be no role's: it has 1 to 63 bytes, none of them a control character"},
      {"\"" + long_name + "\" \"geheim\"",
       "the name can be no role's: it has 1 to 63 bytes, none of them a control character"},
      {"\"first\" \"geheim\"", "the name stands in line 2 already"},
      {"\"first\" \"\"", "the name stands in line 2 already"},
      {"\"a\" \"" + long_secret + "\"", "the secret is too long, or a SCRAM secret that cannot be used"},
      {"\"a\" \"SCRAM-SHA-256$0:AAAA$AAAA:AAAA\"", "the secret is too long, or a SCRAM secret that cannot be used"},
  }));
  CHECK(error_of("; users\n\"first\" \"x\"\n" + line + "\n\"last\" \"y\"\n") == "users.txt:3: " + what);
}

TEST_CASE("all errors are told, up to a bound") {
  std::string text;
  for (std::size_t i = 0; i < most_users_file_errors + 7; ++i) text += "geheim\n";
  const auto reading = parse_users(text, "users.txt");
  REQUIRE(reading.errors.size() == most_users_file_errors + 1);
  CHECK(reading.errors[99].starts_with("users.txt:100: "));
  CHECK(reading.errors.back() == "users.txt: and 7 more errors");
  for (const auto& error : reading.errors) CHECK_FALSE(error.contains("geheim"));
}

TEST_CASE("mocks shall be like most roles") {
  const auto likeness = [](const std::string& text) { return parse_users(text, "users.txt").users->likeness(); };
  CHECK_FALSE(likeness("\"a\" \"\"\n"));
  CHECK(likeness("\"a\" \"x\"\n\"b\" \"y\"\n" + scram_line("c"))->kind == secret_kind::plain);
  const auto scram = likeness("\"a\" \"x\"\n" + scram_line("b", "8192") + scram_line("c", "8192") + scram_line("d"));
  CHECK(scram->kind == secret_kind::scram);
  CHECK(scram->iterations == 8192);
}

TEST_CASE("the file itself") {
  const folder home;
  const auto reading = read_users_file(home.write("users.txt", "\"a\" \"b\"\n"));
  CHECK(reading.errors.empty());
  CHECK(reading.warnings.empty());
  CHECK(reading.users->size() == 1);

  CHECK(read_users_file(home.path() / "none").errors ==
        std::vector{(home.path() / "none").native() + ": No such file or directory"});
  CHECK(read_users_file(home.path()).errors == std::vector{home.path().native() + ": it is a folder"});
  CHECK(read_users_file("/dev/null").errors == std::vector<std::string>{"/dev/null: it is not a regular file"});
  const auto pipe = home.path() / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK(read_users_file(pipe).errors == std::vector{pipe.native() + ": it is not a regular file"});
  const auto huge = home.write("huge", "");
  fs::resize_file(huge, most_users_file_bytes + 1);
  CHECK(read_users_file(huge).errors == std::vector{huge.native() + ": it is larger than 67108864 bytes"});
}

TEST_CASE("a file with secrets that others can read or write gets a warning") {
  const folder home;
  const auto [mode, has_warning] = GENERATE(table<unsigned, bool>({{0600, false},
                                                                   {0400, false},
                                                                   {0640, false},
                                                                   {0440, false},
                                                                   {0644, true},
                                                                   {0604, true},
                                                                   {0660, true},
                                                                   {0602, true}}));
  const auto reading = read_users_file(home.write("users.txt", "\"a\" \"b\"\n", mode));
  CAPTURE(mode);
  CHECK(reading.users != nullptr);
  CHECK(reading.warnings.size() == (has_warning ? 1 : 0));
}

TEST_CASE("a password file holds a password and nothing else") {
  const folder home;
  const auto read = [&](std::string_view text) {
    const auto file = read_password_file(home.write("password", text));
    return file ? std::string(file->text.view()) : file.error();
  };
  CHECK(read("open sesame") == "open sesame");
  CHECK(read("open sesame\n") == "open sesame");
  CHECK(read("open sesame\r\n") == "open sesame");
  CHECK(read(" x ") == " x ");
  CHECK(read("") == "it holds no password");
  CHECK(read("\n") == "it holds no password");
  CHECK(read("a\nb\n") == "it holds more than one line");
  CHECK(read("a\n\n") == "it holds more than one line");
  CHECK(read(std::string_view("a\0b", 3)) == "its password holds a zero byte");
  CHECK(read(std::string(65535, 'x') + "\n") == std::string(65535, 'x'));
  CHECK(read(std::string(65536, 'x')) == "its password is too long");
  CHECK(read(std::string(65538, 'x')) == "it is larger than 65537 bytes");
}

}  // namespace auth_users_file_test
