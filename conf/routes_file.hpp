// routes.yaml and its companions: from documents to the parts of a routing table.
//
// Names are resolved across files, so the files are gone through section by section, not file by file: all servers,
// then all databases, roles, `defaults`, and the tenants last. What could not be read makes no second error: a database
// whose server is unknown is one error, and the tenants that live in it make none.
//
// Over several files: names may be defined once; hints, defaults, unknown_tenants and no_tenant are taken as a whole
// from the last file that has them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "conf/routes_sources.hpp"
#include "routing/route_table.hpp"

namespace conf {

/// What is wrong is told to each source's report; the result is then good for nothing but finding more errors.
routing::table_parts read_routes(const routes_sources& sources);

/// Names that may be defined once, and where they were.
class definitions {
 public:
  /// False, and an error at the entry's key, if its name was defined before.
  bool add(const yaml_value& entry);

 private:
  struct where {
    const std::string* file = nullptr;
    position at;
  };
  std::unordered_map<std::string, where> first_;
};

// The sections, each given what it may refer to. `is_complete` is whether all names can be known: if not, a missing one
// is no error.
using server_map = std::map<std::string, std::shared_ptr<const routing::server>>;
using database_map = std::map<std::string, std::shared_ptr<const routing::database>>;

std::vector<routing::hint> read_hints(const yaml_value& hints);

class places_reader {
 public:
  explicit places_reader(bool is_complete) : servers_complete_(is_complete), databases_complete_(is_complete) {}
  void read_servers(const yaml_value& section);
  void read_databases(const yaml_value& section);

  /// The entry of `databases` that a value names. An unknown one is an error, and null.
  [[nodiscard]] std::shared_ptr<const routing::database> find_database(const yaml_value& value) const;
  [[nodiscard]] const server_map& servers() const { return servers_; }
  [[nodiscard]] const database_map& databases() const { return databases_; }

 private:
  [[nodiscard]] routing::server read_server(const yaml_value& entry) const;
  [[nodiscard]] routing::database read_database(const yaml_value& entry) const;

  bool servers_complete_, databases_complete_;
  definitions server_names_, database_names_;
  server_map servers_;
  database_map databases_;
};

class roles_reader {
 public:
  void read(const yaml_value& section);
  [[nodiscard]] std::map<std::string, routing::shared_limits_ptr> take() && { return std::move(roles_); }

 private:
  definitions names_;
  std::map<std::string, routing::shared_limits_ptr> roles_;
};

}  // namespace conf
