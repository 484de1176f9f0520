#include "conf/routes_file.hpp"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "conf/tenants_reader.hpp"
#include "conf/words.hpp"

namespace conf {
namespace {

using default_database = tenants_reader::default_database;

class routes_reader {
 public:
  explicit routes_reader(const routes_sources& sources) : is_complete_(sources.is_complete) {
    for (const routes_source& one : sources.files) open(one);
  }

  routing::table_parts read() {
    for_each_section("hints", [&](const yaml_value& section) { parts_.hints = read_hints(section); });
    places_reader places(is_complete_);
    for_each_section("servers", [&](const yaml_value& section) { places.read_servers(section); });
    for_each_section("databases", [&](const yaml_value& section) { places.read_databases(section); });
    roles_reader roles;
    for_each_section("roles", [&](const yaml_value& section) { roles.read(section); });
    parts_.roles = std::move(roles).take();
    for_each_section("defaults", [&](const yaml_value& section) { read_defaults(section, places); });
    read_tenants(places);
    for_each_section("unknown_tenants", [&](const yaml_value& value) { read_unknown_tenants(value); });
    for_each_section("no_tenant", [&](const yaml_value& section) { read_no_tenant(section, places); });
    check_wait();
    check_that_somebody_may_enter();
    parts_.servers = places.servers();
    parts_.databases = places.databases();
    return std::move(parts_);
  }

 private:
  void open(const routes_source& file) {
    report& out = *file.source.out;
    if (file.root() == nullptr) {
      if (file.document.is_yaml() && !file.may_be_empty) {
        out.error(file.source.name, {}, "", "the file is empty; write at least servers, databases and tenants");
        is_complete_ = false;
      }
      return;
    }
    const std::size_t errors_before = out.error_count();
    const yaml_value& root = roots_.emplace_back(file.source, *file.root(), keys_of(file_kind::routes));
    // With an unknown key at the top, whatever should have stood under the right one is missing.
    const bool is_mapping = root.is_mapping();
    if (out.error_count() != errors_before) is_complete_ = false;
    if (!is_mapping) roots_.pop_back();
  }

  template <class Visit>
  void for_each_section(std::string_view key, Visit visit) const {
    for (const yaml_value& root : roots_) {
      if (const auto section = root.find(key)) visit(*section);
    }
  }

  [[nodiscard]] bool has_section(std::string_view key) const {
    return std::ranges::any_of(roots_, [&](const yaml_value& root) { return root.find(key).has_value(); });
  }

  void read_defaults(const yaml_value& section, const places_reader& places) {
    const report& out = *section.source().out;
    const std::size_t errors_before = out.error_count();
    parts_.defaults = rule_reader(places, rule_reader::whose::tenants).read(section);
    const bool is_good = out.error_count() == errors_before;
    if (parts_.defaults.database) {
      default_database_ = default_database::given;
    } else {
      const bool may_be_there = !is_good || section.find("database");
      default_database_ = may_be_there ? default_database::unclear : default_database::missing;
    }
  }

  void read_tenants(const places_reader& places) {
    if (!is_complete_ && default_database_ == default_database::missing) default_database_ = default_database::unclear;
    tenants_reader tenants(places, parts_.defaults, default_database_);
    for_each_section("tenants", [&](const yaml_value& section) { tenants.read(section); });
    parts_.tenants = std::move(tenants).take();
  }

  void read_unknown_tenants(const yaml_value& value) {
    using enum routing::unknown_tenants;
    const auto found = value.choice<routing::unknown_tenants>({{"reject", reject}, {"default", use_defaults}});
    parts_.unknown = found.value_or(reject);
    unknown_is_clear_ = found.has_value();
    if (parts_.unknown == use_defaults && default_database_ == default_database::missing) {
      value.error("needs defaults.database; write it, or reject");
    }
  }

  void read_no_tenant(const yaml_value& section, const places_reader& places) {
    parts_.no_tenant = routing::no_tenant_action::reject;
    parts_.no_tenant_route = {};
    wait_ = {};
    if (!section.is_mapping()) return;
    using what = routing::no_tenant_action;
    const auto action = section.find("action");
    const auto route = section.find("route");
    std::optional<what> chosen = what::reject;
    if (action) {
      chosen = action->choice<what>({{"reject", what::reject}, {"wait", what::wait}, {"route", what::route}});
    }
    parts_.no_tenant = chosen.value_or(what::reject);
    if (parts_.no_tenant == what::wait) wait_ = {&section.source(), action->at(), action->path()};
    if (route) {
      read_no_tenant_route(*route, places);
      if (chosen && *chosen != what::route) {
        route->error_at_key("is only taken with action: route; write that, or remove the route");
      }
    } else if (parts_.no_tenant == what::route) {
      section.error_missing("route", "write where these sessions go, such as route: { database: shared }");
    }
  }

  void read_no_tenant_route(const yaml_value& route, const places_reader& places) {
    if (!route.is_mapping()) return;
    parts_.no_tenant_route = rule_reader(places, rule_reader::whose::no_tenant).read(route);
    if (!route.find("database")) {
      route.error_missing("database", "write the entry of `databases` where these sessions go");
    }
  }

  // Hints may come from another file, so this is looked at last.
  void check_wait() const {
    if (wait_.source == nullptr) return;
    const auto comes_later = [](const routing::hint& one) {
      return one.source == routing::hint_source::variable || one.source == routing::hint_source::search_path;
    };
    const auto error = [&](const char* what) {
      wait_.source->out->error(wait_.source->name, wait_.at, wait_.path, what);
    };
    const bool hints_are_wrong = has_section("hints") && parts_.hints.empty();  // said already
    if (!hints_are_wrong && std::ranges::none_of(parts_.hints, comes_later)) {
      error("nothing could end the wait; write a variable or search_path hint, or another action");
    }
    const auto& place = parts_.defaults.database;
    if (place && place->dbname && place->dbname->has("tenant")) {
      error(
          "the database of `defaults` tells the session its parameters meanwhile, and has {tenant} in its dbname; "
          "write one there without, or another action");
    } else if (default_database_ == default_database::missing) {
      error("needs defaults.database, which tells the session its parameters meanwhile; write it, or another action");
    }
  }

  // A file that was cut short, or the wrong one, must not pass for a table without tenants.
  void check_that_somebody_may_enter() const {
    const bool is_on_purpose = has_section("tenants") || !is_complete_ || !unknown_is_clear_ ||
                               parts_.unknown != routing::unknown_tenants::reject ||
                               parts_.no_tenant == routing::no_tenant_action::route;
    if (is_on_purpose || roots_.empty()) return;
    roots_.front().error_missing("tenants", "write who lives where, or {} if nobody shall as yet");
  }

  bool is_complete_;
  std::deque<yaml_value> roots_;
  routing::table_parts parts_;
  default_database default_database_ = default_database::missing;
  bool unknown_is_clear_ = true;
  struct {
    const yaml_source* source = nullptr;
    position at;
    std::string path;
  } wait_;
};

}  // namespace

routing::table_parts read_routes(const routes_sources& sources) { return routes_reader(sources).read(); }

}  // namespace conf
