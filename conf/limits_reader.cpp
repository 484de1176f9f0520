#include "conf/limits_reader.hpp"

#include <memory>
#include <string>
#include <vector>

namespace conf {
namespace {

constexpr std::uint32_t most_of_anything = 1'000'000'000;

void read_count(const yaml_value& section, std::string_view key, std::uint32_t least,
                std::optional<std::uint32_t>& into) {
  if (const auto value = section.find(key)) into = value->integer(least, most_of_anything);
}

void read_time(const yaml_value& section, std::string_view key, std::optional<std::chrono::milliseconds>& into) {
  if (const auto value = section.find(key)) into = value->duration(yaml_value::zero::allowed);
}

// What tenants, roles and databases can have.
void read_common(const yaml_value& section, routing::limits& into) {
  read_count(section, "clients", 1, into.clients);
  read_count(section, "queries_per_second", 1, into.queries_per_second);
  read_count(section, "burst", 1, into.burst);
  if (const auto value = section.find("bytes_per_second")) into.bytes_per_second = value->bytes();
  read_time(section, "query_time", into.query_time);
  read_time(section, "transaction_time", into.transaction_time);
  read_time(section, "idle_in_transaction", into.idle_in_transaction);
}

// Keys that a tenant's limits have, and these have not.
std::vector<yaml_value::elsewhere> tenants_keys(routing::sharer whose) {
  constexpr std::string_view tenants_own = "is a tenant's own limit; write it under tenants.*.limits, or in defaults";
  const std::string_view connections =
      whose == routing::sharer::database
          ? "is not known here; the server connections of a database are its pool.size"
          : "is not counted by role; write tenants.*.limits.connections, or pool.size of a database";
  return {{"connections", connections},
          {"min_connections", tenants_own},
          {"weight", tenants_own},
          {"wait", tenants_own},
          {"log_min_duration_statement", tenants_own}};
}

}  // namespace

routing::limits read_limits(const yaml_value& section) {
  routing::limits made;
  if (!section.is_mapping()) return made;
  read_common(section, made);
  read_count(section, "connections", 1, made.connections);
  read_count(section, "min_connections", 0, made.min_connections);
  read_count(section, "weight", 1, made.weight);
  read_time(section, "wait", made.wait);
  read_time(section, "log_min_duration_statement", made.log_min_duration_statement);
  if (made.connections && made.min_connections && *made.min_connections > *made.connections) {
    section.find("min_connections")
        ->error("is more than connections; write at most " + std::to_string(*made.connections));
  }
  return made;
}

routing::shared_limits_ptr read_shared_limits(const yaml_value& entry, routing::sharer whose) {
  const auto section = entry.find("limits");
  if (!section || !section->is_mapping(tenants_keys(whose))) return nullptr;
  routing::limits made;
  read_common(*section, made);
  if (made == routing::limits()) return nullptr;
  return std::make_shared<const routing::shared_limits>(whose, std::string(entry.name()), made);
}

}  // namespace conf
