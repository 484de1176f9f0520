// What drivers and psql say of themselves, before and between what their users want: settings, transactions, questions
// about the server and its catalog. The console has neither settings nor tables; it answers what does no harm, so that
// they go on, and says plainly what it is where they could not.
#include <algorithm>
#include <array>
#include <utility>

#include "protocol/sqlstate.hpp"
#include "proxy/console/command.hpp"

namespace proxy::console {
namespace {

// Old enough that no psql warns of being older than its server; new enough for what clients ask by parameters.
constexpr std::string_view server_version = "14.0 (pglodge)";

constexpr std::array<reported_setting, 12> settings{{
    {"server_version", server_version},
    {"server_encoding", "UTF8"},
    {"client_encoding", "UTF8"},
    {"DateStyle", "ISO, MDY"},
    {"IntervalStyle", "postgres"},
    {"TimeZone", "UTC"},
    {"integer_datetimes", "on"},
    {"standard_conforming_strings", "on"},
    {"default_transaction_read_only", "off"},
    {"in_hot_standby", "off"},
    {"is_superuser", "off"},
    {"application_name", ""},
}};
// Further ones that are asked for, but never reported.
constexpr std::array<reported_setting, 8> more_settings{{
    {"transaction_read_only", "off"},
    {"transaction_isolation", "read committed"},
    {"server_version_num", "140000"},
    {"search_path", ""},
    {"max_identifier_length", "63"},
    {"lc_collate", "C"},
    {"lc_ctype", "C"},
    {"statement_timeout", "0"},
}};

// What clients set without being told to; further ones whose values only matter to a server.
constexpr std::array<std::string_view, 24> set_by_clients{"application_name",
                                                          "bytea_output",
                                                          "client_encoding",
                                                          "client_min_messages",
                                                          "datestyle",
                                                          "intervalstyle",
                                                          "extra_float_digits",
                                                          "idle_in_transaction_session_timeout",
                                                          "lock_timeout",
                                                          "row_security",
                                                          "search_path",
                                                          "standard_conforming_strings",
                                                          "timezone",
                                                          "time",
                                                          "transaction",
                                                          "statement_timeout",
                                                          "names",
                                                          "characteristics",
                                                          "ssl_renegotiation_limit",
                                                          "default_transaction_isolation",
                                                          "jit",
                                                          "default_transaction_read_only",
                                                          "synchronize_seqscans",
                                                          "synchronous_commit"};

constexpr std::array<std::string_view, 40> sql_words{
    "SELECT",  "WITH",    "INSERT",  "UPDATE",  "DELETE", "MERGE",    "CREATE",   "ALTER",      "DROP",       "TABLE",
    "VALUES",  "EXPLAIN", "COPY",    "LISTEN",  "NOTIFY", "LOCK",     "TRUNCATE", "GRANT",      "REVOKE",     "VACUUM",
    "ANALYZE", "PREPARE", "EXECUTE", "DECLARE", "FETCH",  "DO",       "CALL",     "SAVEPOINT",  "REFRESH",    "CLUSTER",
    "COMMENT", "IMPORT",  "REINDEX", "LOAD",    "MOVE",   "SECURITY", "REASSIGN", "CHECKPOINT", "DEALLOCATE", "CLOSE"};

std::string lower(std::string_view text) {
  std::string made(text);
  for (char& c : made) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return made;
}

bool is_one_of(const token& word, auto&& words) {
  return std::ranges::any_of(words, [&](std::string_view one) { return word.is(one); });
}

command done(std::string tag, talk_effect effect = talk_effect::none) {
  command made;
  made.tag = std::move(tag);
  made.effect = effect;
  return made;
}

command one_value(std::string name, std::string value, std::string tag, column_type type = column_type::text) {
  command made = done(std::move(tag));
  made.heads = columns{{std::move(name), type}};
  made.rows.push_back({std::move(value)});
  return made;
}

std::optional<command> show_setting(const statement_tokens& tokens) {
  std::string name = lower(tokens[1].text);
  if (tokens[1].is("TRANSACTION") && tokens.size() > 3 && tokens[2].is("ISOLATION")) name = "transaction_isolation";
  if (tokens[1].is("TIME") && tokens.size() > 3 && tokens[2].is("ZONE")) name = "timezone";
  const auto is_it = [&](const reported_setting& one) { return lower(one.first) == name; };
  auto found = std::ranges::find_if(settings, is_it);
  if (found != settings.end()) return one_value(std::string(found->first), std::string(found->second), "SHOW");
  const auto more = std::ranges::find_if(more_settings, is_it);
  if (more != more_settings.end()) return one_value(std::string(more->first), std::string(more->second), "SHOW");
  return std::nullopt;
}

// SET [SESSION | LOCAL] name, SET SESSION CHARACTERISTICS, RESET name | ALL.
std::optional<command> set_setting(const statement_tokens& tokens) {
  std::size_t at = 1;
  if (tokens.size() > 3 && (tokens[1].is("SESSION") || tokens[1].is("LOCAL"))) at = 2;
  const std::string tag = tokens[0].is("SET") ? "SET" : "RESET";
  if (tag == "RESET" && tokens[1].is("ALL")) return done(tag);
  const bool known = std::ranges::find(set_by_clients, lower(tokens[at].text)) != set_by_clients.end();
  if (!known) return std::nullopt;
  return done(tag);
}

// A question with a fixed answer.
std::optional<command> question(std::string_view asked, std::string_view user) {
  const auto text = [](std::string name, std::string_view value) {
    return one_value(std::move(name), std::string(value), "SELECT 1");
  };
  const auto function = asked.starts_with("pg_catalog.") ? asked.substr(11) : asked;
  if (function == "version()") return text("version", "PostgreSQL " + std::string(server_version) + ", console");
  if (function == "current_database()" || function == "current_catalog") return text("current_database", "pglodge");
  if (function == "current_user" || function == "session_user" || function == "user")
    return text(std::string(function), user);
  if (function == "current_schema()" || function == "current_schema") return text("current_schema", "");
  if (function == "pg_is_in_recovery()") return one_value("pg_is_in_recovery", "f", "SELECT 1", column_type::boolean);
  if (function == "1") return one_value("?column?", "1", "SELECT 1", column_type::int4);
  return std::nullopt;
}

// PostgreSQL's own limit.
constexpr std::size_t most_columns = 1664;

// The names that a query gives its columns, as far as its text tells: what stands last before the next comma or FROM.
columns names_of_columns(const statement_tokens& tokens) {
  columns heads;
  int depth = 0;
  std::string last;
  std::size_t at = 0;
  while (at < tokens.size() && !tokens[at].is("SELECT")) ++at;
  for (++at; at < tokens.size() && heads.size() < most_columns; ++at) {
    const token& one = tokens[at];
    if (one.is_sign('(') || one.is_sign('[')) ++depth;
    if (one.is_sign(')') || one.is_sign(']')) --depth;
    const bool over = depth < 0 || one.what == token::kind::end || (depth == 0 && one.is("FROM"));
    if (over || (depth == 0 && one.is_sign(','))) {
      heads.push_back({last.empty() ? "?column?" : last.substr(last.rfind('.') + 1)});
      last.clear();
      if (over) break;
    } else if (one.what == token::kind::word || one.what == token::kind::name) {
      last = one.what == token::kind::word ? lower(one.text) : one.text;
    }
  }
  return heads;
}

// Tab completion, \d and drivers look into the catalog: it is empty.
std::optional<command> query(const statement_tokens& tokens, std::string_view text, std::string_view user) {
  std::string asked;
  for (std::size_t i = 1; i + 1 < tokens.size(); ++i) asked += lower(tokens[i].text);
  if (tokens[0].is("SELECT")) {
    if (auto answer = question(asked, user)) return answer;
  }
  const std::string all = lower(text);
  const bool about_catalog =
      all.find("pg_") != std::string::npos || all.find("information_schema") != std::string::npos;
  if (!about_catalog) return std::nullopt;
  command made = done("SELECT 0");
  made.heads = names_of_columns(tokens);
  return made;
}

}  // namespace

std::span<const reported_setting> reported_settings() { return settings; }

pgwire::error_report not_a_database() {
  return refusal(pgwire::sqlstate::feature_not_supported,
                 "this is the console of pglodge, not a database: it runs no SQL",
                 "SHOW HELP lists its commands. Tenants are reached by any other database name.");
}

std::optional<std::expected<command, pgwire::error_report>> small_talk(const statement_tokens& tokens,
                                                                       std::string_view text, std::string_view user) {
  const token& first = tokens[0];
  const token& second = tokens[1];
  const bool alone = second.what == token::kind::end;
  if (first.is("BEGIN")) return done("BEGIN", talk_effect::begins);
  if (first.is("START") && second.is("TRANSACTION")) return done("START TRANSACTION", talk_effect::begins);
  const bool rolls_back = first.is("ROLLBACK") || first.is("ABORT");
  const bool to_savepoint = std::ranges::any_of(tokens, [](const token& one) { return one.is("TO"); });
  if (first.is("COMMIT") || first.is("END")) return done("COMMIT", talk_effect::ends);
  if (rolls_back && !to_savepoint) return done("ROLLBACK", talk_effect::ends);
  if (rolls_back) return std::unexpected(not_a_database());
  if (first.is("DISCARD")) return done("DISCARD ALL", talk_effect::discards);
  if (first.is("DEALLOCATE") && (second.is("ALL") || (second.is("PREPARE") && tokens[2].is("ALL"))))
    return done("DEALLOCATE ALL", talk_effect::discards);
  if (first.is("CLOSE") && second.is("ALL")) return done("CLOSE CURSOR ALL");
  if (first.is("UNLISTEN")) return done("UNLISTEN");
  std::optional<command> known;
  if (first.is("SHOW") && !alone) known = show_setting(tokens);
  if ((first.is("SET") || first.is("RESET")) && !alone) known = set_setting(tokens);
  if (first.is("SELECT") || first.is("WITH")) known = query(tokens, text, user);
  if (known) return std::move(*known);
  if (is_one_of(first, sql_words)) return std::unexpected(not_a_database());
  return std::nullopt;
}

}  // namespace proxy::console
