#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <ctime>
#include <fstream>

#include "conf/settings.hpp"
#include "proxy/console/layouts.hpp"
#include "proxy/console/shows.hpp"
#include "proxy/memory_watch.hpp"

namespace proxy::console {
namespace {

struct help_line {
  const char* command;
  const char* does;
};
constexpr std::array help{
    help_line{"SHOW HELP | VERSION | CONFIG | STATE | LISTS | MEM", "the lodge itself"},
    help_line{"SHOW DATABASES | POOLS | CLIENTS | SERVERS | SOCKETS | USERS | HOSTS", "connections"},
    help_line{"SHOW STATS | STATS_TOTALS | STATS_AVERAGES | TOTALS | USAGE", "what was counted"},
    help_line{"SHOW TENANTS | TENANT 'id' | ROUTES | ROUTE 'url or id' | PINS | EVENTS", "tenants, and what happened"},
    help_line{"... LIKE 'pattern' ORDER BY column [DESC] LIMIT n", "less of any of these"},
    help_line{"HOLD 'tenant' / RELEASE 'tenant'", "its sessions wait before their next transaction / go on"},
    help_line{"SUSPEND 'tenant' ['message'] / ACTIVATE 'tenant'", "its sessions are refused / let in"},
    help_line{"PAUSE [db] / RESUME [db]", "as HOLD for all of a database, and waits until its connections are closed"},
    help_line{"DISABLE db / ENABLE db", "new sessions are refused / let in"},
    help_line{"RECONNECT [db], WAIT_CLOSE [db]", "renews server connections; waits until that is done"},
    help_line{"KILL [db]", "pauses it and ends its sessions, until RESUME"},
    help_line{"KILL_CLIENT id, KILL TENANT 'tenant'", "ends sessions"},
    help_line{"RELOAD", "reads both files again"},
    help_line{"SET log_level = level [FOR TENANT 'tenant'], RESET log_level [FOR TENANT 'tenant']",
              "until it is taken back or the lodge ends"},
    help_line{"SHUTDOWN [WAIT_FOR_CLIENTS]", "ends the lodge now, or when its sessions are idle"},
};

std::string milliseconds(std::chrono::milliseconds time) {
  const auto count = time.count();
  if (count % 1000 != 0 || count == 0) return std::to_string(count) + (count == 0 ? "" : "ms");
  const auto seconds = count / 1000;
  if (seconds % 3600 == 0) return std::to_string(seconds / 3600) + "h";
  if (seconds % 60 == 0) return std::to_string(seconds / 60) + "m";
  return std::to_string(seconds) + "s";
}

std::string joined(const std::vector<std::string>& list) {
  std::string all;
  for (const auto& one : list) all += (all.empty() ? "" : ", ") + one;
  return all;
}

std::string name_of(const conf::listen_settings& door) {
  if (!door.unix_folder.empty()) return door.unix_folder.string() + "/.s.PGSQL." + std::to_string(door.port);
  const bool v6 = door.address.find(':') != std::string::npos;
  return (v6 ? "[" + door.address + "]" : door.address) + ":" + std::to_string(door.port);
}

// The values of pglodge.yaml by key; those of lists are summed up. Secrets stand in files of their own.
using values = std::vector<std::pair<std::string, std::string>>;
values values_of(const conf::daemon_settings& now) {
  const auto& time = now.timeouts;
  values all;
  std::vector<std::string> doors;
  doors.reserve(now.listen.size());
  for (const auto& door : now.listen) doors.push_back(name_of(door));
  all.emplace_back("listen", joined(doors));
  all.emplace_back("routes", now.routes.string());
  all.emplace_back("workers", now.workers ? std::to_string(*now.workers) : "auto");
  all.emplace_back("io_method", to_string(now.io));
  all.emplace_back("auth.method", to_string(now.auth.method));
  all.emplace_back("auth.users", now.auth.users.string());
  all.emplace_back("auth.query.database", now.auth.query ? now.auth.query->database : "");
  all.emplace_back("auth.query.user", now.auth.query ? now.auth.query->user : "");
  all.emplace_back("auth.query.sql", now.auth.query ? now.auth.query->sql : "");
  all.emplace_back("auth.rules", std::to_string(now.auth.rules.size()) + " rule(s)");
  all.emplace_back("admin.users", joined(now.admin.users));
  all.emplace_back("admin.stats_users", joined(now.admin.stats_users));
  all.emplace_back("admin.http", now.admin.http);
  all.emplace_back("admin.metrics_tenants", std::to_string(now.admin.metrics_tenants));
  all.emplace_back("admin.stats_period", milliseconds(now.admin.stats_period));
  all.emplace_back("peers", joined(now.peers));
  all.emplace_back("resources.clients", now.resources.clients ? std::to_string(*now.resources.clients) : "none");
  all.emplace_back("resources.memory", now.resources.memory ? std::to_string(*now.resources.memory) + "B" : "none");
  all.emplace_back("usage.ledger", now.usage.ledger.string());
  all.emplace_back("usage.interval", milliseconds(now.usage.interval));
  all.emplace_back("usage.keep_days", std::to_string(now.usage.keep_days));
  all.emplace_back("log.level", now.log.level);
  all.emplace_back("log.format", now.log.format == conf::log_format::json ? "json" : "text");
  all.emplace_back("timeouts.startup", milliseconds(time.startup));
  all.emplace_back("timeouts.connect", milliseconds(time.connect));
  all.emplace_back("timeouts.idle", milliseconds(time.idle));
  all.emplace_back("timeouts.server_idle", milliseconds(time.server_idle));
  all.emplace_back("timeouts.server_lifetime", milliseconds(time.server_lifetime));
  all.emplace_back("timeouts.query_wait", milliseconds(time.query_wait));
  all.emplace_back("timeouts.query_wait_notify", milliseconds(time.query_wait_notify));
  all.emplace_back("timeouts.drain", milliseconds(time.drain));
  all.emplace_back("timeouts.unready", milliseconds(time.unready));
  all.emplace_back("timeouts.upgrade", milliseconds(time.upgrade));
  return all;
}

// A session takes two descriptors: its client's, and a server's.
std::uint64_t most_sessions() {
  rlimit limit{};
  return ::getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur / 2 : 0;
}

}  // namespace

std::string time_text(std::chrono::system_clock::time_point when) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(when);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 40> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &parts);
  return text.data();
}

std::string time_text(clock::time_point when) {
  const auto age = std::chrono::duration_cast<std::chrono::system_clock::duration>(clock::now() - when);
  return time_text(std::chrono::system_clock::now() - age);
}

table show_help() {
  std::vector<row> rows;
  rows.reserve(std::size(help));
  for (const auto& [command, does] : help) rows.push_back({command, does});
  return table::of(columns_of(thing::help), std::move(rows));
}

table show_version(const status_facts& status) {
  return table::of(columns_of(thing::version), {{"pglodge " + status.version}});
}

table show_config(const snapshot& now, const status_facts& status) {
  const values current = values_of(*now.settings);
  const values defaults = values_of({});
  const auto& known = conf::all_settings();
  std::vector<row> rows;
  for (std::size_t i = 0; i < current.size(); ++i) {
    const auto& [key, value] = current[i];
    const auto about = std::ranges::find_if(
        known, [&](const conf::setting& one) { return one.file == conf::file_kind::daemon && one.path == key; });
    const bool restart = about != known.end() && about->when == conf::taken_up::restart;
    const bool over = key == "log.level" && !status.log_level.empty();
    const bool written = value != defaults[i].second;
    rows.push_back({key, over ? status.log_level : value, about != known.end() ? std::string(about->fallback) : "",
                    restart ? "no" : "yes",
                    over      ? "console"
                    : written ? "file"
                              : "default",
                    about != known.end() ? std::string(about->doc) : ""});
  }
  const auto found_out = [&](const char* key, std::string value, const char* doc) {
    rows.push_back({key, std::move(value), "", "no", "lodge", doc});
  };
  // By this name, since tools for PgBouncer look for it.
  found_out("max_client_conn", std::to_string(most_sessions()), "Sessions that the limit of descriptors allows.");
  found_out("config.version", std::to_string(now.version), "Counts what was put in force since the start.");
  found_out("config.read_at", time_text(status.read_at), "When the files were read last.");
  found_out("config.errors", joined(status.reload_errors), "Why what was read last is not in force; empty: it is.");
  return table::of(columns_of(thing::config), std::move(rows), key_of(thing::config));
}

table show_state(const snapshot& now, const status_facts& status) {
  const auto yes = [](bool is) { return std::string(is ? "yes" : "no"); };
  const bool paused = now.overrides->everything_paused;
  return table::of(columns_of(thing::state), {{"active", yes(!paused && !status.leaving)},
                                              {"paused", yes(paused)},
                                              {"suspended", "no"},
                                              {"leaving", yes(status.leaving)},
                                              {"started", time_text(status.started)},
                                              {"workers", std::to_string(status.workers)},
                                              {"listens_on", status.doors},
                                              {"config_in_force", yes(status.reload_errors.empty())}});
}

table show_mem(const snapshot& now, const client_list& clients, const pool_list& pools) {
  std::vector<row> rows;
  const auto add = [&](const char* name, std::size_t size, std::size_t used, std::size_t free, std::size_t total) {
    rows.push_back({name, std::to_string(size), std::to_string(used), std::to_string(free), std::to_string(total)});
  };
  std::size_t lent = 0;
  std::size_t idle = 0;
  for (const auto& pool : pools) {
    for (const auto& one : pool->totals()) {
      lent += one.lent;
      idle += one.idle;
    }
  }
  const std::size_t tenants = now.routes->tenants().size();
  add("clients", 0, clients.size(), 0, 0);
  add("server_connections", 0, lent, idle, 0);
  add("tenants", 0, tenants, 0, 0);
  add("process", 1, resident_bytes(), 0, resident_bytes());
  return table::of(columns_of(thing::mem), std::move(rows));
}

table show_events(const std::vector<event>& events) {
  std::vector<row> rows;
  rows.reserve(events.size());
  for (const event& one : events) rows.push_back({time_text(one.when), one.kind, one.subject, one.what, one.by});
  return table::of(columns_of(thing::events), std::move(rows), key_of(thing::events));
}

}  // namespace proxy::console
