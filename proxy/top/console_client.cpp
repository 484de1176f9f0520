#include "proxy/top/console_client.hpp"

#include <libpq-fe.h>

#include <array>
#include <utility>

namespace proxy::top {

std::expected<console_client, std::string> console_client::open(const std::string& where) {
  // What `where` says comes later and holds.
  const std::array<const char*, 4> names{"connect_timeout", "application_name", "dbname", nullptr};
  const std::array<const char*, 4> values{"10", "pglodge top", where.c_str(), nullptr};
  console_client made(PQconnectdbParams(names.data(), values.data(), 1));
  if (PQstatus(made.connection_.get()) != CONNECTION_OK) {
    return std::unexpected(libpq_words(PQerrorMessage(made.connection_.get())));
  }
  // A notice would be printed over the screen.
  PQsetNoticeProcessor(made.connection_.get(), [](void*, const char*) {}, nullptr);
  const auto version = made.ask("SHOW VERSION");
  const bool is_console = version && version->rows.size() == 1 && version->rows[0][0].starts_with("pglodge ");
  if (is_console) return made;
  return std::unexpected("database \"" + std::string(PQdb(made.connection_.get())) +
                         "\" is not the console of a lodge; its name there is pglodge" +
                         (version ? "" : " (" + version.error() + ")"));
}

std::expected<answer_table, std::string> console_client::ask(const char* command) {
  const libpq_result result(PQexec(connection_.get(), command));
  if (PQresultStatus(result.get()) != PGRES_TUPLES_OK) {
    const std::string why = PQerrorMessage(connection_.get());
    return std::unexpected(why.empty() ? std::string(command) + " gives no rows" : libpq_words(why.c_str()));
  }
  answer_table made;
  const int columns = PQnfields(result.get());
  for (int i = 0; i < columns; ++i) made.heads.emplace_back(PQfname(result.get(), i));
  const int rows = PQntuples(result.get());
  made.rows.reserve(static_cast<std::size_t>(rows));
  for (int i = 0; i < rows; ++i) {
    auto& cells = made.rows.emplace_back();
    for (int j = 0; j < columns; ++j) cells.emplace_back(PQgetvalue(result.get(), i, j));
  }
  return made;
}

std::expected<look, std::string> console_client::take_look() {
  const auto tenants = ask("SHOW TENANTS");
  if (!tenants) return std::unexpected(tenants.error());
  const auto usage = ask("SHOW USAGE");
  if (!usage) return std::unexpected(usage.error());
  return look::of(*tenants, *usage, std::chrono::steady_clock::now());
}

}  // namespace proxy::top
