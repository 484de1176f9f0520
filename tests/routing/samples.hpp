// Short ways to write what tables are made of.
#pragma once

#include <catch2/catch.hpp>

#include "routing/route_table.hpp"

namespace samples {

inline routing::name_template filled(std::string_view text) {
  auto made = routing::name_template::parse(text, {"tenant"});
  REQUIRE(made);
  return *made;
}

inline routing::tenant_id id(std::string_view text) {
  auto made = routing::tenant_id::parse(text);
  REQUIRE(made);
  return *made;
}

inline routing::identity of_tenant(std::string_view tenant, std::string user = "app") {
  routing::identity who;
  who.tenant = id(tenant);
  who.user = std::move(user);
  return who;
}

inline std::shared_ptr<const routing::database> place(std::string name, std::shared_ptr<const routing::server> on,
                                                      std::string_view dbname) {
  return std::make_shared<routing::database>(
      routing::database{std::move(name), std::move(on), filled(dbname), std::nullopt, std::nullopt});
}

// Server main; databases shared, acme and, one for each tenant, dedicated; a schema for each tenant by default.
struct table {
  routing::table_parts parts;

  table() {
    const auto main = std::make_shared<const routing::server>(
        routing::server{.name = "main", .hosts = {{"pg1", 5432}, {"::1", 5433}}});
    parts.servers["main"] = main;
    parts.databases["shared"] = place("shared", main, "saas");
    parts.databases["acme"] = place("acme", main, "acme");
    parts.databases["dedicated"] = place("dedicated", main, "crm_{tenant}");
    parts.defaults.database = parts.databases["shared"];
    parts.defaults.schema.emplace(filled("tenant_{tenant}"));
  }

  // Gives the entry, to be filled in.
  routing::rule& tenant(std::string name) {
    parts.tenants.emplace_back(std::move(name), routing::rule{});
    return parts.tenants.back().second;
  }
  [[nodiscard]] routing::route_table build() const { return routing::route_table(parts); }
};

}  // namespace samples
