#include "conf/pgbouncer_import.hpp"

#include <algorithm>

#include "conf/names.hpp"
#include "conf/pgbouncer_translate.hpp"
#include "conf/words.hpp"

namespace conf {
namespace {

// The databases whose own auth_* are others than those that were chosen.
void note_other_queries(const import_context& import, const imported_query& chosen) {
  const auto differs = [&](const pgbouncer_database& one, std::string_view key, std::string_view kept) {
    if (one.values.where(key) == nullptr || one.values.text(key) == kept) return;
    import.notes.remark(one.entry, one.path(key), "not carried over: there is one auth.query for all databases");
  };
  for (const pgbouncer_database& one : import.config.databases) {
    differs(one, "auth_user", chosen.user);
    differs(one, "auth_dbname", chosen.database);
    differs(one, "auth_query", chosen.sql);
  }
}

}  // namespace

std::string duration_text(std::chrono::milliseconds time) {
  const auto ms = time.count();
  if (ms == 0) return "0";
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + "s" : std::to_string(ms) + "ms";
}

bool is_usable_name(const import_context& import, const ini_entry* at, std::string_view path, std::string_view name) {
  const auto problem = identifier_problem(name);
  if (problem) import.notes.error(at, path, *problem);
  return !problem;
}

std::filesystem::path import_context::path(std::string_view setting) const {
  std::filesystem::path named(config.global.text(setting));
  if (named.empty() || named.is_absolute()) return named;
  std::filesystem::path made = (around.folder / named).lexically_normal();
  notes.remark(config.global.where(setting), setting,
               "PgBouncer looks for it in the folder in which it was started; written is " + made.native());
  return made;
}

std::optional<imported_query> choose_query(const import_context& import) {
  const pgbouncer_config& config = import.config;
  // The global one, else that of the first database that has one.
  const pgbouncer_database* first = nullptr;
  for (const pgbouncer_database& one : config.databases) {
    if (first == nullptr && one.values.where("auth_user") != nullptr) first = &one;
  }
  const bool is_global = !config.global.text("auth_user").empty();
  if (!is_global && first == nullptr) return std::nullopt;
  const auto pick = [&](std::string_view key) -> std::string {
    if (!is_global && first->values.where(key) != nullptr) return std::string(first->values.text(key));
    return std::string(config.global.text(key));
  };
  imported_query made{pick("auth_dbname"), pick("auth_user"), pick("auth_query")};
  const ini_entry* at = is_global ? config.global.where("auth_user") : first->entry;
  if (!is_usable_name(import, at, "auth_user", made.user)) return std::nullopt;
  if (made.sql.empty()) {
    import.notes.error(config.global.where("auth_query"), "auth_query", "is empty; write the statement, or remove it");
  }

  if (made.database.empty()) {
    const auto named = std::ranges::find_if(config.databases, [](const auto& one) { return one.name != "*"; });
    if (!is_global && first->name != "*") {
      made.database = first->name;
    } else {
      made.database = named != config.databases.end() ? named->name : "postgres";
    }
    if (config.databases.size() > 1 || made.database != config.databases.front().name) {
      import.notes.remark(
          at, "auth_user",
          "PgBouncer asks in each client's own database, the lodge for all of them in one; written is " +
              in_quotes(made.database) + ", so that roles must be those of its server");
    }
  }
  if (!is_usable_name(import, at, "auth_dbname", made.database)) return std::nullopt;
  if (config.find(made.database) == nullptr && config.find("*") == nullptr) {
    import.notes.error(config.global.where("auth_dbname"), "auth_dbname", "no such database in [databases]");
    return std::nullopt;
  }
  note_other_queries(import, made);
  return made;
}

imported import_pgbouncer(const std::vector<ini_entry>& entries, const import_surroundings& around) {
  import_notes notes;
  const pgbouncer_config config = read_pgbouncer_config(entries, notes);
  if (config.databases.empty()) notes.error(nullptr, "[databases]", "there are none, so there is nothing to route");
  const import_context import{config, around, notes};
  imported result;
  if (!notes.has_errors()) {
    const auto query = choose_query(import);
    result.files.push_back(translate_daemon(import, query));
    std::ranges::move(translate_routes(import, query ? &*query : nullptr), std::back_inserter(result.files));
  }
  if (notes.has_errors()) result.files.clear();
  result.remarks = notes.remarks();
  result.errors = notes.errors();
  return result;
}

}  // namespace conf
