// The halves of the import, one for each file that is written; pgbouncer_import.hpp is the whole.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/pgbouncer_config.hpp"
#include "conf/pgbouncer_import.hpp"

namespace conf {

/// What both halves work on. Refers to what it was made of.
struct import_context {
  const pgbouncer_config& config;
  const import_surroundings& around;
  import_notes& notes;

  /// The path that this setting names, absolute; empty if it names none. A relative one is noted.
  [[nodiscard]] std::filesystem::path path(std::string_view setting) const;
};

/// auth_user and its kin, of which the lodge has one set for all databases.
struct imported_query {
  std::string database, user, sql;
};
/// Nothing if nobody is to be asked. Notes what does not fit into one.
std::optional<imported_query> choose_query(const import_context& import);

/// routes.yaml, and the password files behind it. `query`, which may be null, has a database that needs a place.
std::vector<imported_file> translate_routes(const import_context& import, const imported_query* query);

/// pglodge.yaml.
imported_file translate_daemon(const import_context& import, const std::optional<imported_query>& query);

/// "1500ms", "2s", "0"
std::string duration_text(std::chrono::milliseconds time);

/// Where zero is no time at all but PgBouncer means for ever.
inline constexpr std::chrono::milliseconds as_good_as_for_ever = std::chrono::hours(24);

/// The name of a role or database, if PostgreSQL takes it; else an error is noted.
bool is_usable_name(const import_context& import, const ini_entry* at, std::string_view path, std::string_view name);

}  // namespace conf
