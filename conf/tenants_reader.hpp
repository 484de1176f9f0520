// What `defaults`, a tenant and no_tenant's route say: the same keys in three places.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "conf/routes_file.hpp"
#include "routing/route_table.hpp"

namespace conf {

class rule_reader {
 public:
  enum class whose : std::uint8_t {
    tenants,    ///< {tenant} is filled in
    no_tenant,  ///< there is none
  };
  rule_reader(const places_reader& places, whose sessions) : places_(places), whose_(sessions) {}

  [[nodiscard]] routing::rule read(const yaml_value& entry) const;

 private:
  [[nodiscard]] std::optional<routing::name_template> read_own_template(const yaml_value& value) const;
  [[nodiscard]] std::optional<routing::name_template> read_schema(const yaml_value& value) const;
  [[nodiscard]] std::optional<std::vector<routing::name_template>> read_search_path(const yaml_value& list) const;
  [[nodiscard]] std::vector<std::pair<std::string, routing::name_template>> read_settings(
      const yaml_value& section) const;
  void read_place(const yaml_value& entry, routing::rule& into) const;
  static void read_access(const yaml_value& entry, routing::rule& into);

  const places_reader& places_;
  whose whose_;
};

/// The `tenants` sections, one after another.
class tenants_reader {
 public:
  enum class default_database : std::uint8_t {
    given,
    missing,  ///< then each tenant needs one of its own
    unclear,  ///< there was an error, and that is enough
  };
  /// `defaults` must outlive the reader.
  tenants_reader(const places_reader& places, const routing::rule& defaults, default_database in_defaults)
      : rules_(places, rule_reader::whose::tenants), defaults_(defaults), default_database_(in_defaults) {}

  void read(const yaml_value& section);
  [[nodiscard]] std::vector<std::pair<std::string, routing::rule>> take() && { return std::move(tenants_); }

 private:
  void read_tenant(const yaml_value& entry);
  void check_lengths(const yaml_value& entry, const routing::rule& own) const;

  rule_reader rules_;
  const routing::rule& defaults_;
  default_database default_database_;
  definitions names_;
  std::vector<std::pair<std::string, routing::rule>> tenants_;
};

}  // namespace conf
