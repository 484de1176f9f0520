#include "conf/pgbouncer_settings.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "conf/settings.hpp"
#include "conf/units.hpp"
#include "conf/words.hpp"
#include "routing/ascii.hpp"

namespace conf {
namespace {

using enum import_fate;
constexpr auto global = pgbouncer_section::pgbouncer;
constexpr auto databases = pgbouncer_section::databases;
constexpr auto users = pgbouncer_section::users;
constexpr auto peers = pgbouncer_section::peers;
constexpr auto text = pgbouncer_kind::text;
constexpr auto integer = pgbouncer_kind::integer;
constexpr auto seconds = pgbouncer_kind::seconds;
constexpr auto words = pgbouncer_kind::words;

constexpr std::string_view pool_modes = "session | transaction | statement";
constexpr std::string_view tls_modes = "disable | allow | prefer | require | verify-ca | verify-full";
constexpr std::string_view default_query =
    "SELECT rolname, CASE WHEN rolvaliduntil < pg_catalog.now() THEN NULL ELSE rolpassword END "
    "FROM pg_catalog.pg_authid WHERE rolname = $1 AND rolcanlogin";

// Said of several.
constexpr std::string_view log_lines = "what is logged depends on log.level alone, and there are no statistics in it";
constexpr std::string_view to_stderr = "the log goes to standard error, which systemd keeps";
constexpr std::string_view system_tcp = "the system's defaults hold, see tcp(7) for its sysctls";
constexpr std::string_view system_tls = "OpenSSL's own choice holds; openssl.cnf can narrow it";
constexpr std::string_view resolver = "names are looked up by the system's resolver at each new connection";
constexpr std::string_view of_users =
    "a role has limits of clients and of times; what else there is belongs to tenants and databases, and ALTER ROLE "
    "... "
    "SET or CONNECTION LIMIT on the server to roles";
constexpr std::string_view of_peers =
    "one lodge uses all cores, so there are no processes to pass cancel requests between; for several lodges "
    "behind a balancer write peers in pglodge.yaml";
constexpr std::string_view one_process = "one lodge uses all cores, see workers";
constexpr std::string_view tenant_decides =
    "it is a setting of the tenant, which decides also where a client asks for another value as it connects; remove it "
    "under tenants.*.settings to let clients choose";
constexpr std::string_view reserve_added =
    "it is added to pool.size at once, within max_db_connections; there is no reserve that opens after a wait";
constexpr std::string_view other_name = "the console's database is called pglodge, not pgbouncer";

// The order of the columns: section, name, kind, PgBouncer's default, what becomes of it, remark, words.
constexpr std::array settings{
    pgbouncer_setting{global, "admin_users", text, "", carried, other_name},
    pgbouncer_setting{global, "application_name_add_host", integer, "", no_match,
                      "clients may set application_name; the lodge's log has their addresses"},
    pgbouncer_setting{global, "auth_dbname", text},
    pgbouncer_setting{global, "auth_file", text},
    pgbouncer_setting{global, "auth_hba_file", text},
    pgbouncer_setting{global, "auth_ident_file", text, "", no_match, "roles are not mapped; write rules for each role"},
    pgbouncer_setting{global, "auth_ldap_options", text, "", no_match, "the lodge does not speak LDAP"},
    pgbouncer_setting{global, "auth_query", text, default_query},
    pgbouncer_setting{global, "auth_type", words, "md5", carried, "",
                      "any | trust | plain | md5 | cert | hba | ldap | pam | scram-sha-256"},
    pgbouncer_setting{global, "auth_user", text},
    pgbouncer_setting{global, "autodb_idle_timeout", seconds, "", not_needed, "there is nothing to free"},
    pgbouncer_setting{global, "cancel_wait_timeout", seconds, "", not_needed,
                      "cancel requests need no connection of the pool"},
    pgbouncer_setting{global, "client_idle_timeout", seconds},
    pgbouncer_setting{global, "client_login_timeout", seconds, "60"},
    pgbouncer_setting{global, "client_tls13_ciphers", text, "", no_match, system_tls},
    pgbouncer_setting{global, "client_tls_ca_file", text},
    pgbouncer_setting{global, "client_tls_cert_file", text},
    pgbouncer_setting{global, "client_tls_ciphers", text, "", no_match, system_tls},
    pgbouncer_setting{global, "client_tls_dheparams", text, "", no_match, system_tls},
    pgbouncer_setting{global, "client_tls_ecdhcurve", text, "", no_match, system_tls},
    pgbouncer_setting{global, "client_tls_key_file", text},
    pgbouncer_setting{global, "client_tls_protocols", text, "", no_match, "TLS 1.2 and 1.3 are spoken"},
    pgbouncer_setting{global, "client_tls_sslmode", words, "disable", carried, "", tls_modes},
    pgbouncer_setting{global, "conffile", text, "", not_needed, "the files are watched; name the first with -c"},
    pgbouncer_setting{global, "default_pool_size", integer, "20"},
    pgbouncer_setting{global, "disable_pqexec", integer, "", no_match, "simple queries are always allowed"},
    pgbouncer_setting{global, "dns_max_ttl", seconds, "", not_needed, resolver},
    pgbouncer_setting{global, "dns_nxdomain_ttl", seconds, "", not_needed, resolver},
    pgbouncer_setting{global, "dns_zone_check_period", seconds, "", not_needed, resolver},
    pgbouncer_setting{global, "idle_transaction_timeout", seconds},
    pgbouncer_setting{global, "ignore_startup_parameters", text, "", not_needed,
                      "every startup parameter is taken and follows its client"},
    pgbouncer_setting{global, "job_name", text, "", not_needed, "it names a service of Windows"},
    pgbouncer_setting{global, "listen_addr", text},
    pgbouncer_setting{global, "listen_backlog", integer, "", no_match, "the system's longest queue holds"},
    pgbouncer_setting{global, "listen_port", integer, "6432"},
    pgbouncer_setting{global, "log_connections", integer, "", no_match, log_lines},
    pgbouncer_setting{global, "log_disconnections", integer, "", no_match, log_lines},
    pgbouncer_setting{global, "log_pooler_errors", integer, "", no_match, log_lines},
    pgbouncer_setting{global, "log_stats", integer, "", no_match, log_lines},
    pgbouncer_setting{global, "logfile", text, "", not_needed, to_stderr},
    pgbouncer_setting{global, "login_notify_message", text, "", no_match, "clients are told nothing as they enter"},
    pgbouncer_setting{global, "max_client_conn", integer},
    pgbouncer_setting{global, "max_db_client_connections", integer, "0"},
    pgbouncer_setting{global, "max_db_connections", integer, "0"},
    pgbouncer_setting{global, "max_packet_size", integer, "", no_match,
                      "messages are passed on as they come, without a bound on their size"},
    pgbouncer_setting{global, "max_prepared_statements", integer, "", not_needed,
                      "prepared statements always work; a server connection keeps at most 500, see "
                      "databases.*.pool.prepare"},
    pgbouncer_setting{global, "max_user_client_connections", integer, "0", carried,
                      "it holds for the roles of [users]; write roles.*.limits.clients for others"},
    pgbouncer_setting{global, "max_user_connections", integer, "", no_match, of_users},
    pgbouncer_setting{global, "min_pool_size", integer, "", no_match,
                      "no connection is opened before it is needed; timeouts.server_idle keeps those that are there"},
    pgbouncer_setting{global, "peer_id", integer, "", not_needed, of_peers},
    pgbouncer_setting{global, "pidfile", text, "", not_needed, "the lodge stays in the foreground"},
    pgbouncer_setting{global, "pkt_buf", integer, "", not_needed, "an idle session owns no buffer"},
    pgbouncer_setting{global, "pool_idle_timeout", seconds, "", not_needed, "there is nothing to free"},
    pgbouncer_setting{global, "pool_mode", words, "session", carried, "", pool_modes},
    pgbouncer_setting{global, "query_timeout", seconds},
    pgbouncer_setting{global, "query_wait_notify", seconds},
    pgbouncer_setting{global, "query_wait_timeout", seconds, "120"},
    pgbouncer_setting{global, "reserve_pool_size", integer, "0", carried, reserve_added},
    pgbouncer_setting{global, "reserve_pool_timeout", seconds, "", no_match, reserve_added},
    pgbouncer_setting{global, "resolv_conf", text, "", no_match, resolver},
    pgbouncer_setting{global, "sbuf_loopcnt", integer, "", not_needed, "the lodge sees to fairness itself"},
    pgbouncer_setting{global, "scram_iterations", integer, "", not_needed,
                      "no secrets are made; those of the users file keep their own count"},
    pgbouncer_setting{global, "server_check_delay", seconds, "", not_needed,
                      "idle connections are read all the time, and a lost one is noticed at once"},
    pgbouncer_setting{global, "server_check_query", text, "", not_needed,
                      "idle connections are read all the time, and a lost one is noticed at once"},
    pgbouncer_setting{global, "server_connect_timeout", seconds, "15"},
    pgbouncer_setting{global, "server_fast_close", integer, "", not_needed,
                      "sessions whose place changed go there when they are next outside a transaction"},
    pgbouncer_setting{global, "server_idle_timeout", seconds, "600"},
    pgbouncer_setting{global, "server_lifetime", seconds, "3600"},
    pgbouncer_setting{global, "server_login_retry", seconds, "", not_needed,
                      "clients wait at most timeouts.query_wait, and are told why no host let them in"},
    pgbouncer_setting{global, "server_reset_query", text, "", not_needed,
                      "settings follow the client, and DISCARD ALL is sent when a connection goes to another tenant, "
                      "under pool.mode: session to another client"},
    pgbouncer_setting{global, "server_reset_query_always", integer, "", not_needed,
                      "settings follow the client, and DISCARD ALL is sent when a connection goes to another tenant, "
                      "under pool.mode: session to another client"},
    pgbouncer_setting{global, "server_round_robin", integer, "", no_match,
                      "the connection that fits the client best is taken"},
    pgbouncer_setting{global, "server_tls13_ciphers", text, "", no_match, system_tls},
    pgbouncer_setting{global, "server_tls_ca_file", text},
    pgbouncer_setting{global, "server_tls_cert_file", text},
    pgbouncer_setting{global, "server_tls_ciphers", text, "", no_match, system_tls},
    pgbouncer_setting{global, "server_tls_key_file", text},
    pgbouncer_setting{global, "server_tls_protocols", text, "", no_match, "TLS 1.2 and 1.3 are spoken"},
    pgbouncer_setting{global, "server_tls_sslmode", words, "prefer", carried, "", tls_modes},
    pgbouncer_setting{global, "service_name", text, "", not_needed, "it names a service of Windows"},
    pgbouncer_setting{global, "so_reuseport", integer, "", not_needed, one_process},
    pgbouncer_setting{global, "stats_period", seconds},
    pgbouncer_setting{global, "stats_users", text, "", carried, other_name},
    pgbouncer_setting{global, "suspend_timeout", seconds, "", not_needed,
                      "nothing is suspended; at a restart timeouts.drain bounds how long sessions may go on"},
    pgbouncer_setting{global, "syslog", integer, "", not_needed, to_stderr},
    pgbouncer_setting{global, "syslog_facility", text, "", not_needed, to_stderr},
    pgbouncer_setting{global, "syslog_ident", text, "", not_needed, to_stderr},
    pgbouncer_setting{global, "tcp_defer_accept", integer, "", no_match, system_tcp},
    pgbouncer_setting{global, "tcp_keepalive", integer, "", no_match, system_tcp},
    pgbouncer_setting{global, "tcp_keepcnt", integer, "", no_match, system_tcp},
    pgbouncer_setting{global, "tcp_keepidle", integer, "", no_match, system_tcp},
    pgbouncer_setting{global, "tcp_keepintvl", integer, "", no_match, system_tcp},
    pgbouncer_setting{global, "tcp_socket_buffer", integer, "", no_match, system_tcp},
    pgbouncer_setting{global, "tcp_user_timeout", integer, "", no_match, system_tcp},
    pgbouncer_setting{global, "track_extra_parameters", text, "", not_needed,
                      "every setting that a client makes follows it"},
    pgbouncer_setting{global, "transaction_timeout", seconds},
    pgbouncer_setting{global, "unix_socket_dir", text, "/tmp"},
    pgbouncer_setting{global, "unix_socket_group", text, "", no_match, "the folder's own rights say who gets in"},
    pgbouncer_setting{global, "unix_socket_mode", text, "", no_match, "the folder's own rights say who gets in"},
    pgbouncer_setting{global, "user", text, "", not_needed, "start the lodge as that user, User= of systemd"},
    pgbouncer_setting{global, "verbose", integer, "0"},

    pgbouncer_setting{databases, "application_name", text, "", carried, tenant_decides},
    pgbouncer_setting{databases, "auth_dbname", text},
    pgbouncer_setting{databases, "auth_query", text},
    pgbouncer_setting{databases, "auth_user", text},
    pgbouncer_setting{databases, "client_encoding", text, "", carried, tenant_decides},
    pgbouncer_setting{databases, "connect_query", text, "", no_match,
                      "write what it sets under the tenant's settings, or let ALTER DATABASE ... SET do it"},
    pgbouncer_setting{databases, "datestyle", text, "", carried, tenant_decides},
    pgbouncer_setting{databases, "dbname", text},
    pgbouncer_setting{databases, "host", text},
    pgbouncer_setting{databases, "load_balance_hosts", words, "", no_match,
                      "hosts are tried in their order, and the first that is a primary serves",
                      "disable | round-robin"},
    pgbouncer_setting{databases, "max_db_client_connections", integer},
    pgbouncer_setting{databases, "max_db_connections", integer},
    pgbouncer_setting{databases, "min_pool_size", integer, "", no_match,
                      "no connection is opened before it is needed; timeouts.server_idle keeps those that are there"},
    pgbouncer_setting{databases, "password", text},
    pgbouncer_setting{databases, "pool_mode", words, "", carried, "", pool_modes},
    pgbouncer_setting{databases, "pool_size", integer},
    pgbouncer_setting{databases, "port", integer, "5432"},
    pgbouncer_setting{databases, "query_wait_timeout", seconds},
    pgbouncer_setting{databases, "reserve_pool", integer, "", carried, reserve_added},
    pgbouncer_setting{databases, "reserve_pool_size", integer, "", carried, reserve_added},
    pgbouncer_setting{databases, "server_lifetime", seconds, "", no_match,
                      "timeouts.server_lifetime holds for all databases"},
    pgbouncer_setting{databases, "timezone", text, "", carried, tenant_decides},
    pgbouncer_setting{databases, "user", text},

    pgbouncer_setting{users, "client_idle_timeout", seconds, "", no_match, of_users},
    pgbouncer_setting{users, "idle_transaction_timeout", seconds},
    pgbouncer_setting{users, "max_user_client_connections", integer},
    pgbouncer_setting{users, "max_user_connections", integer, "", no_match, of_users},
    pgbouncer_setting{users, "pool_mode", words, "", no_match, of_users, pool_modes},
    pgbouncer_setting{users, "pool_size", integer, "", no_match, of_users},
    pgbouncer_setting{users, "query_timeout", seconds},
    pgbouncer_setting{users, "query_wait_timeout", seconds, "", no_match, of_users},
    pgbouncer_setting{users, "reserve_pool_size", integer, "", no_match, of_users},
    pgbouncer_setting{users, "transaction_timeout", seconds},

    pgbouncer_setting{peers, "host", text, "", not_needed, of_peers},
    pgbouncer_setting{peers, "pool_size", integer, "", not_needed, of_peers},
    pgbouncer_setting{peers, "port", integer, "", not_needed, of_peers},
};

constexpr std::array<std::string_view, 4> section_names{"pgbouncer", "databases", "users", "peers"};

bool is_digits(std::string_view text_of) {
  return !text_of.empty() && text_of.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

std::span<const pgbouncer_setting> all_pgbouncer_settings() { return settings; }

const pgbouncer_setting* find_pgbouncer_setting(pgbouncer_section section, std::string_view name) {
  const auto found = std::ranges::find_if(
      settings, [&](const pgbouncer_setting& row) { return row.section == section && row.name == name; });
  return found == settings.end() ? nullptr : &*found;
}

std::optional<pgbouncer_section> pgbouncer_section_of(std::string_view name) {
  const auto found = std::ranges::find(section_names, name);
  if (found == section_names.end()) return std::nullopt;
  return static_cast<pgbouncer_section>(found - section_names.begin());
}

std::optional<std::int32_t> pgbouncer_integer(std::string_view value) {
  std::int32_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc{} || end != value.data() + value.size()) return std::nullopt;
  return number;
}

std::optional<std::chrono::milliseconds> pgbouncer_seconds(std::string_view value) {
  if (value == "-1") return std::chrono::milliseconds(-1);
  const auto dot = std::min(value.find('.'), value.size());
  const std::string_view whole = value.substr(0, dot);
  std::string fraction(value.substr(std::min(dot + 1, value.size())));
  const bool is_number = is_digits(whole) && (dot == value.size() || fraction.empty() || is_digits(fraction));
  if (!is_number) return std::nullopt;
  fraction.resize(3, '0');
  std::uint64_t in_ms = 0;
  const std::string digits = std::string(whole) + fraction;
  const auto error = std::from_chars(digits.data(), digits.data() + digits.size(), in_ms).ec;
  const auto longest = static_cast<std::uint64_t>(longest_duration.count());
  return std::chrono::milliseconds(error == std::errc{} ? std::min(in_ms, longest) : longest);
}

std::optional<std::string_view> known_word(const pgbouncer_setting& row, std::string_view value) {
  const auto known = words_of(row.words);
  const auto same = [&](std::string_view word) {
    return std::ranges::equal(word, value, {}, routing::ascii_lower, routing::ascii_lower);
  };
  const auto found = std::ranges::find_if(known, same);
  return found == known.end() ? std::nullopt : std::optional(*found);
}

std::optional<std::string> value_problem(const pgbouncer_setting& row, std::string_view value) {
  switch (row.kind) {
    case text: break;
    case integer:
      if (!pgbouncer_integer(value)) return "not a whole number";
      break;
    case seconds:
      if (!pgbouncer_seconds(value)) return "not a number of seconds";
      break;
    case words:
      if (!known_word(row, value)) return "not one of " + any_of_words(words_of(row.words));
  }
  return std::nullopt;
}

std::string fate_in_words(const pgbouncer_setting& row) {
  std::string remark(row.remark);
  switch (row.fate) {
    case carried: return remark;
    case not_needed: return "not needed: " + remark;
    case no_match: return "not carried over: " + remark;
  }
  return {};
}

}  // namespace conf
