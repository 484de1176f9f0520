#include "proxy/desk/metrics_text.hpp"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <limits>
#include <string_view>
#include <utility>

namespace proxy::desk {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;
using labels = std::vector<ClientMetric::Label>;

double in_seconds(std::chrono::microseconds time) { return static_cast<double>(time.count()) / 1e6; }

// How a count of usage_counts is told. The names are prefixed by pglodge_, or pglodge_tenant_.
struct told_count {
  std::string_view name;
  std::uint64_t usage_counts::* value;
  double units = 1;  ///< to one of what is told
  std::string_view help;
};
constexpr double us = 1e6;
constexpr std::array told_counts{
    told_count{"transactions_total", &usage_counts::transactions, 1, "Transactions that ended at a server."},
    told_count{"statements_total", &usage_counts::statements, 1,
               "Statements of clients: Query and Execute messages, and function calls."},
    told_count{"errors_total", &usage_counts::errors, 1,
               "Errors that clients were told once they had been let in, the servers' and the lodge's own."},
    told_count{"rows_total", &usage_counts::rows, 1, "Rows returned, changed or copied, by command tags."},
    told_count{"received_bytes_total", &usage_counts::bytes_in, 1, "Bytes from clients, without those of TLS."},
    told_count{"sent_bytes_total", &usage_counts::bytes_out, 1, "Bytes to clients, without those of TLS."},
    told_count{"server_busy_seconds_total", &usage_counts::busy, us,
               "Time for which clients had a server connection, on loan or of their own."},
    told_count{"waiting_seconds_total", &usage_counts::waiting, us,
               "Time for which clients waited for a server connection or for their tenant's rates."},
    told_count{"connected_seconds_total", &usage_counts::connected, us, "The lengths of client sessions, summed up."},
};

class families {
 public:
  std::vector<MetricFamily> all;

  MetricFamily& begin(std::string name, std::string_view help, MetricType type) {
    MetricFamily& made = all.emplace_back();
    made.name = std::move(name);
    made.help = help;
    made.type = type;
    return made;
  }
  void gauge(std::string name, std::string_view help, double value) {
    add_gauge(begin(std::move(name), help, MetricType::Gauge), {}, value);
  }
  static void add_gauge(MetricFamily& to, labels what, double value) {
    ClientMetric& one = to.metric.emplace_back();
    one.label = std::move(what);
    one.gauge.value = value;
  }
  static void add_counter(MetricFamily& to, labels what, double value) {
    ClientMetric& one = to.metric.emplace_back();
    one.label = std::move(what);
    one.counter.value = value;
  }
};

void add_servers(families& out, const std::vector<server_reading>& servers) {
  auto& connections =
      out.begin("pglodge_server_connections", "Pooled connections to PostgreSQL servers.", MetricType::Gauge);
  for (const auto& one : servers) {
    const auto add = [&](std::string_view state, std::size_t count) {
      families::add_gauge(connections, {{"server", one.name}, {"state", std::string(state)}},
                          static_cast<double>(count));
    };
    add("active", one.active);
    add("opening", one.opening);
    add("idle", one.idle);
  }
  auto& in_reach = out.begin("pglodge_server_in_reach", "0 while attempts to connect fail, on all hosts of the server.",
                             MetricType::Gauge);
  for (const auto& one : servers) families::add_gauge(in_reach, {{"server", one.name}}, one.in_reach ? 1 : 0);
  auto& refused = out.begin("pglodge_server_login_failures_total",
                            "Logins by the server's own user that the server refused, whoever the client was.",
                            MetricType::Counter);
  for (const auto& one : servers) {
    families::add_counter(refused, {{"server", one.name}}, static_cast<double>(one.login_failures));
  }
  auto& most = out.begin("pglodge_server_max_connections",
                         "The budget of a server's pooled connections, where it has one.", MetricType::Gauge);
  for (const auto& one : servers) {
    if (one.most) families::add_gauge(most, {{"server", one.name}}, *one.most);
  }
  auto& waiting =
      out.begin("pglodge_waiting_clients", "Clients that wait for a connection to the server.", MetricType::Gauge);
  for (const auto& one : servers) {
    families::add_gauge(waiting, {{"server", one.name}}, static_cast<double>(one.waiting));
  }
}

void add_hosts(families& out, const std::vector<host_reading>& hosts) {
  auto& roles = out.begin("pglodge_host_role",
                          "1 for what a host of a server was when it was last seen, 0 for what else it could be.",
                          MetricType::Gauge);
  for (const auto& one : hosts) {
    for (const auto role : {host_role::primary, host_role::standby, host_role::down, host_role::unknown}) {
      families::add_gauge(roles, {{"server", one.server}, {"host", one.name}, {"role", std::string(to_string(role))}},
                          one.role == role ? 1 : 0);
    }
  }
}

void add_places(families& out, const std::vector<place_reading>& places) {
  auto& paused = out.begin("pglodge_database_paused",
                           "1 while the console has paused a database of the table: its clients wait to be released.",
                           MetricType::Gauge);
  for (const auto& one : places) families::add_gauge(paused, {{"database", one.database}}, one.paused ? 1 : 0);
}

void add_histogram(families& out, std::string name, std::string_view help, const duration_histogram::reading& now) {
  auto& histogram = out.begin(std::move(name), help, MetricType::Histogram).metric.emplace_back().histogram;
  for (std::size_t i = 0; i < now.counts.size(); ++i) {
    histogram.sample_count += now.counts[i];
    const bool is_last = i + 1 == now.counts.size();
    histogram.bucket.push_back({histogram.sample_count, is_last ? std::numeric_limits<double>::infinity()
                                                                : in_seconds(duration_histogram::bound(i))});
  }
  histogram.sample_sum = in_seconds(now.sum);
}

void add_usage(families& out, const lodge_reading& now) {
  for (const told_count& one : told_counts) {
    const auto value = [&](const usage_counts& of) { return static_cast<double>(of.*one.value) / one.units; };
    const std::string name(one.name);
    families::add_counter(out.begin("pglodge_" + name, one.help, MetricType::Counter), {}, value(now.total));
    auto& by_tenant = out.begin("pglodge_tenant_" + name, std::string(one.help) + " By tenant.", MetricType::Counter);
    for (const auto& tenant : now.tenants) {
      families::add_counter(by_tenant, {{"tenant", tenant.tenant}}, value(tenant.counts));
    }
  }
  auto& clients = out.begin("pglodge_tenant_sessions", "Client sessions of a tenant.", MetricType::Gauge);
  for (const auto& tenant : now.tenants) families::add_gauge(clients, {{"tenant", tenant.tenant}}, tenant.clients);
}

}  // namespace

std::string metrics_text(const lodge_reading& now) {
  families out;
  auto& build = out.begin("pglodge_build_info", "1, by the lodge's version.", MetricType::Gauge);
  families::add_gauge(build, {{"version", now.version}}, 1);

  auto& sessions = out.begin("pglodge_sessions", "Client sessions of a worker, those on their way to it included.",
                             MetricType::Gauge);
  for (std::size_t i = 0; i < now.sessions.size(); ++i) {
    families::add_gauge(sessions, {{"worker", std::to_string(i)}}, static_cast<double>(now.sessions[i]));
  }
  auto& refused =
      out.begin("pglodge_refused_sessions_total",
                "Sessions that were told why not instead of being greeted, by SQLSTATE.", MetricType::Counter);
  for (const auto& one : now.refused) {
    families::add_counter(refused, {{"sqlstate", std::string(one.sqlstate)}}, static_cast<double>(one.count));
  }
  add_servers(out, now.servers);
  add_hosts(out, now.hosts);
  add_places(out, now.places);
  add_usage(out, now);
  add_histogram(out, "pglodge_query_duration_seconds",
                "How long servers took for queries: from a query, or the first statement of a pipeline, to its end.",
                now.queries);
  add_histogram(out, "pglodge_transaction_duration_seconds",
                "How long clients had a shared server connection on loan: for a transaction, or longer if pinned.",
                now.leases);
  add_histogram(out, "pglodge_wait_duration_seconds",
                "How long those clients waited that were not served at once: for a connection or their tenant's rates.",
                now.waits);
  out.gauge("pglodge_configured_tenants", "Tenants that the table in force names by their ids.",
            static_cast<double>(now.tenants_configured));
  out.gauge("pglodge_config_version",
            "Counts the configurations that came into force, from 1; commands of the console that lay something over "
            "it, too.",
            static_cast<double>(now.config_version));
  out.gauge("pglodge_config_last_reload_successful", "1, or 0 if the last reload was refused.",
            now.reload.succeeded ? 1 : 0);
  out.gauge("pglodge_config_last_reload_success_timestamp_seconds", "When what is in force was loaded.",
            std::chrono::duration<double>(now.reload.loaded_at.time_since_epoch()).count());
  return prometheus::TextSerializer().Serialize(out.all);
}

}  // namespace proxy::desk
