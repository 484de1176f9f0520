// Bytes as PgBouncer's configuration: every error has a place, and what is imported is read without errors. What stands
// behind a form feed is the hba file, and every include.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "conf/daemon_file.hpp"
#include "conf/pgbouncer_import.hpp"
#include "conf/routes_file.hpp"
#include "conf/yaml_reader.hpp"
#include "protocol/byte_reader.hpp"

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

void check_placed(const std::vector<std::string>& errors) {
  for (const std::string& one : errors) {
    must(one.contains(": ") && one.size() < 10'000);
  }
}

void check_readable(const conf::imported& made) {
  conf::report out;
  const conf::yaml_source daemon_file{"pglodge.yaml", "/etc/pglodge", &out};
  const auto document = conf::yaml_document::parse(made.files.at(0).text);
  must(document.problems().empty() && document.root() != nullptr);
  conf::read_daemon_file({daemon_file, *document.root(), conf::keys_of(conf::file_kind::daemon)});
  const conf::yaml_source routes_file{"routes.yaml", "/etc/pglodge", &out};
  conf::read_routes(conf::routes_from_text(made.files.at(1).text, routes_file));
  must(out.error_count() == 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const auto text = pgwire::as_text(std::as_bytes(std::span(data, size)));
  const auto split = std::min(text.find('\f'), text.size());
  const std::string other(text.substr(std::min(split + 1, text.size())));
  const auto read_other = [&](const auto&) -> std::expected<std::string, std::string> {
    if (other.empty()) return std::unexpected("there is none");
    return other;
  };
  const auto reading = conf::read_pgbouncer_ini(text.substr(0, split), "pgbouncer.ini", read_other);
  must(reading.errors.size() <= 100);
  check_placed(reading.errors);
  const conf::import_surroundings around{
      .folder = "/etc/pgbouncer",
      .read = read_other,
      .password_of = [&](const auto&, std::string_view role) -> std::optional<std::string> {
        return role.size() % 2 == 0 ? std::optional<std::string>(role) : std::nullopt;
      }};
  const auto made = conf::import_pgbouncer(reading.entries, around);
  must(made.files.empty() == !made.errors.empty());
  check_placed(made.errors);
  if (made.errors.empty()) check_readable(made);
  return 0;
}
