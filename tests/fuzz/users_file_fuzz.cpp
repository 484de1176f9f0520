// The users file: whatever it holds, each line is a role, nothing or an error; errors have a place, are bounded and
// tell nothing of what was read.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>

#include "protocol/byte_reader.hpp"
#include "proxy/auth/users_file.hpp"

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

// Words that no error says of its own accord are replaced, so that each error's text is one of a few.
void check_error(std::string_view error, std::size_t lines) {
  constexpr std::string_view file = "users.txt:";
  must(error.starts_with(file));
  error.remove_prefix(file.size());
  if (error.starts_with(" and ")) return;
  std::size_t line = 0;
  while (!error.empty() && error.front() >= '0' && error.front() <= '9') {
    line = 10 * line + static_cast<std::size_t>(error.front() - '0');
    error.remove_prefix(1);
  }
  must(line >= 1 && line <= lines && error.starts_with(": "));
  error.remove_prefix(2);
  constexpr std::string_view known[]{
      "holds a zero byte",
      "a comment begins with ';' here, not with '#'",
      "a name and a secret must stand here, each in double quotes",
      "a double quote is not closed on its line",
      "a blank must stand behind the closing quote; a quote within is written twice",
      "no secret behind the name; write \"\" for none",
      "the name can be no role's: it has 1 to 63 bytes, none of them a control character",
      "the name stands in line ",
      "the secret is too long, or a SCRAM secret that cannot be used",
  };
  must(std::ranges::any_of(
      known, [&](std::string_view one) { return one.ends_with(' ') ? error.starts_with(one) : error == one; }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto text = pgwire::as_text(std::as_bytes(std::span(data, size)));
  const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
  const auto reading = proxy::parse_users(text, "users.txt");
  must((reading.users == nullptr) == !reading.errors.empty());
  must(reading.errors.size() <= proxy::most_users_file_errors + 1);
  for (const auto& error : reading.errors) check_error(error, lines);
  if (reading.users) must(reading.users->size() <= lines);
  return 0;
}
