#include "proxy/front_desk.hpp"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>

#include "proxy/auth/auth_rules.hpp"
#include "proxy/desk/log.hpp"
#include "proxy/desk/tenant_page.hpp"
#include "routing/tenant_hint.hpp"

namespace proxy {
namespace {

// How old what /metrics tells may be. To look at 100,000 tenants takes tens of milliseconds.
constexpr std::chrono::seconds metrics_age{1};

constexpr std::string_view plain_text = "text/plain; charset=utf-8";
constexpr std::string_view prometheus_text = "text/plain; version=0.0.4; charset=utf-8";
constexpr std::string_view json_text = "application/json";

desk::http_answer text(unsigned status, std::string_view type, std::string body) {
  return {status, type, std::make_shared<const std::string>(std::move(body))};
}

desk::http_answer not_found(std::string_view what) { return text(404, plain_text, std::string(what) + "\n"); }

}  // namespace

front_desk::front_desk(shared_state& shared, snapshot_ptr first, sight of_loops)
    : shared_(shared), current_(std::move(first)), sight_(std::move(of_loops)) {
  reload_.loaded_at = std::chrono::system_clock::now();
}

std::expected<std::unique_ptr<front_desk>, std::string> front_desk::open(const std::string& where,
                                                                         inherited_sockets& inherited,
                                                                         shared_state& shared, snapshot_ptr first,
                                                                         sight of_loops) {
  std::unique_ptr<front_desk> made(new front_desk(shared, std::move(first), std::move(of_loops)));
  auto server = desk::http_server::open(where, inherited,
                                        [self = made.get()](std::string_view path) { return self->answer(path); });
  if (!server) return std::unexpected(std::move(server.error()));
  made->server_ = std::move(*server);
  return made;
}

void front_desk::publish(snapshot_ptr next) {
  server_->post([this, next = std::move(next)] {
    current_ = next;
    last_read_ = {};
  });
}

void front_desk::reloaded(const std::vector<std::string>& errors) {
  server_->post([this, errors, at = std::chrono::system_clock::now()] {
    reload_.succeeded = errors.empty();
    reload_.errors = errors;
    if (errors.empty()) reload_.loaded_at = at;
    last_read_ = {};
  });
}

void front_desk::leaving() {
  server_->post([this] { leaving_ = true; });
}

desk::http_answer front_desk::answer(std::string_view path) {
  constexpr std::string_view tenants = "/tenants/";
  if (path == "/metrics") return metrics();
  if (path == "/healthz") return healthy();
  if (path == "/readyz") return ready();
  if (path.starts_with(tenants)) return tenant(path.substr(tenants.size()));
  return not_found("not found; there are /metrics, /healthz, /readyz and /tenants/ID");
}

desk::http_answer front_desk::healthy() const {
  const auto still = clock::now() - sight_.all_have_moved();
  if (still < longest_standstill) return text(200, plain_text, "ok\n");
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(still).count();
  return text(503, plain_text, "an event loop has stood still for " + std::to_string(seconds) + " s\n");
}

// A lodge whose last reload was refused serves by the table before it: it is ready, and says so.
desk::http_answer front_desk::ready() const {
  std::vector<std::string> reasons;
  if (leaving_) reasons.emplace_back("the lodge is leaving and takes no new sessions");
  if (!reload_.succeeded) {
    reasons.emplace_back("the last reload was refused; the configuration before it is in force");
    std::ranges::copy(reload_.errors, std::back_inserter(reasons));
  }
  std::string body = leaving_ ? R"({"ready":false,"reasons":[)" : R"({"ready":true,"reasons":[)";
  for (const std::string& reason : reasons) {
    body += &reason == &reasons.front() ? "\"" : ",\"";
    desk::append_json_escaped(reason, body);
    body += '"';
  }
  return text(leaving_ ? 503 : 200, json_text, body + "]}\n");
}

desk::http_answer front_desk::tenant(std::string_view encoded) const {
  const auto id = desk::tenant_of_path(encoded);
  if (!id) return not_found("not a tenant's id");
  routing::identity who;
  who.tenant = *id;
  auto where = current_->routes->resolve(who);
  if (where) current_->overrides->apply(*where);
  if (!where) return not_found("the table in force has no such tenant");
  const auto account = shared_.accounts.find(id->str());
  const auto checks = who_checks(current_->settings->auth);
  return text(200, json_text,
              account ? desk::tenant_page(*where, account->counts(), account->clients(), checks)
                      : desk::tenant_page(*where, {}, 0, checks));
}

desk::http_answer front_desk::metrics() {
  const auto now = clock::now();
  if (!last_metrics_.body || now - last_read_ >= metrics_age) {
    last_metrics_ = text(200, prometheus_text, desk::metrics_text(read()));
    last_read_ = now;
  }
  return last_metrics_;
}

desk::lodge_reading front_desk::read() {
  desk::lodge_reading now;
  now.version = PGLODGE_VERSION;
  now.sessions = sight_.sessions();
  now.refused = shared_.refused.read();
  now.servers = read_servers();
  for (const auto& [name, server] : current_->routes->parts().servers) {
    for (const routing::host& one : server->hosts) {
      now.hosts.push_back({name, routing::to_string(one), shared_.servers.last_sight(one).role});
    }
  }
  for (const auto& [name, place] : current_->routes->parts().databases) {
    now.places.push_back({name, current_->overrides->is_paused(name)});
  }
  now.tenants_configured = current_->routes->tenants().size();
  now.config_version = current_->version;
  now.reload = reload_;
  read_tenants(now);
  now.queries = shared_.times.queries.read();
  now.leases = shared_.times.leases.read();
  now.waits = shared_.times.waits.read();
  return now;
}

// Those of the table, and those that are in it no more but still have connections.
std::vector<desk::server_reading> front_desk::read_servers() const {
  std::map<std::string, desk::server_reading> by_name;
  for (const auto& [name, server] : current_->routes->parts().servers) {
    by_name[name] = {.name = name, .most = server->max_connections};
  }
  for (const auto& pool : shared_.pools.all()) {
    const std::string& name = pool->server()->name;
    const auto totals = pool->count();
    if (!by_name.contains(name) && totals == ledger::totals()) continue;
    auto& one = by_name.try_emplace(name, desk::server_reading{.name = name}).first->second;
    // A server whose settings have changed has two pools until the last of the old connections is given back.
    one.active += totals.lent - totals.opening;
    one.opening += totals.opening;
    one.idle += totals.idle;
    one.waiting += totals.waiting;
    one.in_reach = one.in_reach && !pool->out_of_reach();
  }
  std::vector<desk::server_reading> all;
  all.reserve(by_name.size());
  for (auto& [name, one] : by_name) {
    one.login_failures = shared_.servers.refused_logins(name);
    all.push_back(std::move(one));
  }
  return all;
}

void front_desk::read_tenants(desk::lodge_reading& into) {
  shared_.accounts.append_new(accounts_);
  if (usage_.empty()) usage_.reserve(accounts_.size());
  for (std::size_t i = usage_.size(); i < accounts_.size(); ++i) usage_.push_back({.tenant = accounts_[i]->tenant()});
  for (std::size_t i = 0; i < accounts_.size(); ++i) {
    usage_[i].counts = accounts_[i]->counts();
    usage_[i].clients = accounts_[i]->clients();
    into.total += usage_[i].counts;
  }
  into.tenants = ranking_.rank(usage_, current_->settings->admin.metrics_tenants);
}

}  // namespace proxy
