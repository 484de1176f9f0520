// The sections `servers` and `databases`: the machines, and the places on them where tenants can live. And `roles`, by
// which clients come there.
#include <utility>
#include <vector>

#include "conf/limits_reader.hpp"
#include "conf/names.hpp"
#include "conf/routes_file.hpp"
#include "conf/values.hpp"
#include "conf/words.hpp"

namespace conf {
namespace {

template <class Map>
std::vector<std::string_view> names_of(const Map& map) {
  std::vector<std::string_view> names;
  names.reserve(map.size());
  for (const auto& one : map) names.push_back(one.first);
  return names;
}

// "no such server "mian"; did you mean ...?", for names that must be among those of a section.
template <class Map>
void report_unknown(const yaml_value& value, std::string_view what, std::string_view section, const Map& known) {
  const std::string_view name = value.text().value_or("");
  const auto names = names_of(known);
  std::string hint = did_you_mean(name, names);
  if (hint.empty()) hint = "; define it under " + std::string(section) + ", or write the name of one that is there";
  value.error("no such " + std::string(what) + ": " + in_quotes(name) + hint);
}

std::vector<routing::host> read_hosts(const yaml_value& list) {
  std::vector<routing::host> hosts;
  if (!list.is_list()) return hosts;
  if (list.size() == 0) list.error("an empty list; write at least one address, such as pg1.internal:5432");
  list.for_each([&](const yaml_value& item) {
    const auto text = item.text();
    if (!text) return;
    auto parsed = parse_address(*text);
    if (!parsed) return item.error(parsed.error());
    if (parsed->host == "*") return item.error("\"*\" is no host that can be reached; write its name");
    routing::host one{std::move(parsed->host), parsed->port.value_or(routing::host{}.port)};
    for (const routing::host& other : hosts) {
      if (other == one) return item.error(in_quotes(*text) + " is there already; remove it");
    }
    hosts.push_back(std::move(one));
  });
  return hosts;
}

void read_path(const std::optional<yaml_value>& value, std::string& into) {
  if (!value) return;
  if (const auto path = value->path_value()) into = path->native();
}

void read_server_tls(const yaml_value& tls, routing::server& into) {
  if (!tls.is_mapping()) return;
  using enum routing::tls_mode;
  if (const auto mode = tls.find("mode")) {
    into.tls = mode->choice<routing::tls_mode>({{"disable", disable},
                                                {"prefer", prefer},
                                                {"require", require},
                                                {"verify-ca", verify_ca},
                                                {"verify-full", verify_full}})
                   .value_or(disable);
  }
  read_path(tls.find("ca"), into.tls_ca);
  read_path(tls.find("certificate"), into.tls_certificate);
  read_path(tls.find("key"), into.tls_key);
  if (tls.find("certificate") && !tls.find("key"))
    tls.error_missing("key", "write the file with the certificate's private key");
  if (tls.find("key") && !tls.find("certificate"))
    tls.error_missing("certificate", "write the file with the key's certificate");
}

}  // namespace

bool definitions::add(const yaml_value& entry) {
  const auto [found, is_new] =
      first_.try_emplace(std::string(entry.name()), where{&entry.source().name, entry.key_at()});
  if (is_new) return true;
  entry.error_at_key("already defined at " + *found->second.file + ":" + std::to_string(found->second.at.line) + ":" +
                     std::to_string(found->second.at.column) + "; keep one of them");
  return false;
}

routing::server places_reader::read_server(const yaml_value& entry) const {
  routing::server made;
  made.name = entry.name();
  if (!entry.is_mapping()) return made;
  if (const auto hosts = entry.find("hosts")) {
    made.hosts = read_hosts(*hosts);
  } else {
    entry.error_missing("hosts", "write where the server listens, such as hosts: [pg1.internal:5432]");
  }
  if (const auto replicas = entry.find("replicas"); replicas && !(replicas->is_list() && replicas->size() == 0)) {
    made.replicas = read_hosts(*replicas);
  }
  if (const auto tls = entry.find("tls")) read_server_tls(*tls, made);
  if (const auto user = entry.find("user")) made.user = read_name(*user).value_or("");
  read_path(entry.find("password_file"), made.password_file);
  if (const auto most = entry.find("max_connections")) made.max_connections = most->integer(1, most_connections);
  if (const auto every = entry.find("health_check")) {
    made.health_check = every->duration(yaml_value::zero::allowed).value_or(made.health_check);
  }
  return made;
}

void places_reader::read_servers(const yaml_value& section) {
  if (!section.is_mapping_of_names("main: { hosts: [pg1.internal:5432] }")) {
    servers_complete_ = false;
    return;
  }
  section.for_each([&](const yaml_value& entry) {
    if (!server_names_.add(entry)) return;
    if (const auto problem = identifier_problem(entry.name())) entry.error_at_key(*problem);
    servers_.emplace(entry.name(), std::make_shared<const routing::server>(read_server(entry)));
  });
}

routing::database places_reader::read_database(const yaml_value& entry) const {
  routing::database made;
  made.name = entry.name();
  if (!entry.is_mapping()) return made;
  if (const auto server = entry.find("server")) {
    const auto name = server->text();
    const auto found = name ? servers_.find(std::string(*name)) : servers_.end();
    if (found != servers_.end()) {
      made.server = found->second;
    } else if (name && servers_complete_) {
      report_unknown(*server, "server", "servers", servers_);
    }
  } else {
    entry.error_missing("server", "write the entry of `servers` it is on");
  }
  if (const auto dbname = entry.find("dbname"); dbname && !dbname->is_null()) {
    made.dbname = read_template(*dbname, {"tenant"});
  }
  if (const auto pool = entry.find("pool"); pool && pool->is_mapping()) {
    if (const auto mode = pool->find("mode")) made.mode = read_pool_mode(*mode);
    if (const auto size = pool->find("size")) made.pool_size = size->integer(1, most_connections);
    if (const auto pin = pool->find("pin")) {
      made.refuses_pins = pin->choice<bool>({{"allow", false}, {"refuse", true}}).value_or(false);
    }
    if (const auto share = pool->find("share")) {
      made.shares_within_tenant = share->choice<bool>({{"all", false}, {"tenant", true}}).value_or(false);
    }
    if (const auto prepare = pool->find("prepare")) {
      using enum routing::prepare_mode;
      made.prepare = prepare->choice<routing::prepare_mode>({{"repeated", repeated}, {"named", named}, {"off", off}})
                         .value_or(repeated);
    }
  }
  made.limits = read_shared_limits(entry, routing::sharer::database);
  return made;
}

void places_reader::read_databases(const yaml_value& section) {
  if (!section.is_mapping_of_names("shared: { server: main, dbname: saas }")) {
    databases_complete_ = false;
    return;
  }
  section.for_each([&](const yaml_value& entry) {
    if (!database_names_.add(entry)) return;
    if (const auto problem = identifier_problem(entry.name())) entry.error_at_key(*problem);
    databases_.emplace(entry.name(), std::make_shared<const routing::database>(read_database(entry)));
  });
}

void roles_reader::read(const yaml_value& section) {
  if (!section.is_mapping_of_names("reporting: { limits: { clients: 20 } }")) return;
  section.for_each([&](const yaml_value& entry) {
    if (!names_.add(entry)) return;
    if (const auto problem = identifier_problem(entry.name())) entry.error_at_key(*problem);
    if (!entry.is_mapping()) return;
    if (auto limits = read_shared_limits(entry, routing::sharer::role)) {
      roles_.emplace(entry.name(), std::move(limits));
    }
  });
}

std::shared_ptr<const routing::database> places_reader::find_database(const yaml_value& value) const {
  const auto name = value.text();
  if (!name) return nullptr;
  const auto found = databases_.find(std::string(*name));
  if (found != databases_.end()) return found->second;
  if (databases_complete_) report_unknown(value, "database", "databases", databases_);
  return nullptr;
}

}  // namespace conf
