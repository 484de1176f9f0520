#include "conf/load.hpp"

#include <algorithm>
#include <cstdint>
#include <system_error>
#include <utility>

#include "conf/routes_file.hpp"
#include "conf/text_file.hpp"
#include "conf/words.hpp"
#include "routing/access.hpp"

namespace conf {
namespace {

namespace fs = std::filesystem;

// Without resolving symbolic links: what a link leads to may change, and is meant to.
fs::path made_absolute(const fs::path& path) {
  std::error_code error;
  fs::path made = fs::absolute(path, error);
  return error ? path : made;
}

// Across the files: a name in one of an entry of the other.
void check_auth_query(const yaml_value& root, const database_map& databases) {
  const auto auth = root.find("auth");
  const auto query = auth ? auth->find("query") : std::nullopt;
  const auto database = query ? query->find("database") : std::nullopt;
  if (!database) return;
  const auto name = database->text();
  if (!name || databases.contains(std::string(*name))) return;
  std::vector<std::string_view> names;
  for (const auto& one : databases) names.push_back(one.first);
  std::string meant = did_you_mean(*name, names);
  if (meant.empty()) meant = "; write the name of an entry of `databases` in the routing table";
  database->error("no such database: " + in_quotes(*name) + meant);
}

// Whoever comes to such a server by passthrough passes as the lodge, or must know the lodge's own secret.
std::string why_no_passthrough(const routing::server& server) {
  const std::string key = "servers." + server.name + (server.user.empty() ? ".tls.certificate" : ".user");
  return "passthrough would have server " + in_quotes(server.name) + " find out who the client is, but by " + key +
         " the lodge logs in there as itself; write another method, or remove that key";
}

bool fits_everybody(const auth_rule& rule) {
  return !rule.tls && rule.from == auth_rule::origin::anywhere && rule.database.empty() && rule.role.empty() &&
         rule.tenant.empty();
}

// Across the files: by a rule for certain tenants passthrough may lead to other servers alone, which is seen when they
// come. Otherwise it may lead to any.
void check_passthrough(const yaml_value& root, const auth_settings& settings, const routing::table_parts& parts) {
  const auto knows = [](const auto& one) { return routing::knows_the_lodge(*one.second); };
  const auto found = std::ranges::find_if(parts.servers, knows);
  if (found == parts.servers.end()) return;
  const std::string why = why_no_passthrough(*found->second);
  const auto auth = root.find("auth");
  if (const auto rules = auth ? auth->find("rules") : std::nullopt) {
    std::size_t next = 0;
    bool goes_on = true;
    rules->for_each([&](const yaml_value& item) {
      const auth_rule& rule = settings.rules[next++];
      if (goes_on && rule.method == auth_method::passthrough && rule.tenant.empty()) item.find("method")->error(why);
      goes_on = goes_on && !fits_everybody(rule);
    });
    if (!goes_on) return;
  }
  if (settings.method != auth_method::passthrough) return;
  if (const auto method = auth ? auth->find("method") : std::nullopt) return method->error(why);
  if (auth) return auth->error_missing("method", "without it " + why);
  root.error_missing("auth", "without auth.method " + why);
}

class loader {
 public:
  enum class extent : std::uint8_t { everything, settings };

  loader(const fs::path& file, extent much)
      : path_(made_absolute(file)), source_{file.native(), path_.parent_path(), &report_}, extent_(much) {}

  loaded load() {
    result_.files.push_back(path_);
    report_.begin_file(source_.name);
    if (const auto text = read_text_file(path_, yaml_document::most_bytes)) {
      read(*text);
    } else {
      report_.error(source_.name, {}, "",
                    "cannot be read: " + text.error() + "; write that file, or name another with -c");
    }
    result_.errors = report_.errors();
    result_.warnings = report_.warnings();
    return std::move(result_);
  }

 private:
  void read(std::string_view text) {
    const yaml_document document = yaml_document::parse(text);
    for (const yaml_problem& one : document.problems()) report_.error(source_.name, one.at, one.path, one.what);
    if (document.root() == nullptr) {
      if (document.is_yaml())
        report_.error(source_.name, {}, "", "the file is empty; write at least listen and routes");
      return;
    }
    const yaml_value root(source_, *document.root(), keys_of(file_kind::daemon));
    auto settings = std::make_shared<daemon_settings>(read_daemon_file(root));
    if (extent_ == extent::settings) {
      if (report_.error_count() == 0) result_.settings = std::move(settings);
      return;
    }
    if (settings->routes.empty()) return;

    const auto named = root.find("routes");
    routes_sources sources = gather_routes(*named, settings->routes);
    result_.files.insert(result_.files.end(), sources.paths.begin(), sources.paths.end());
    result_.folders = std::move(sources.folders);
    routing::table_parts parts = read_routes(sources);
    if (report_.error_count() == 0) check_auth_query(root, parts.databases);
    if (report_.error_count() == 0) check_passthrough(root, settings->auth, parts);
    if (report_.error_count() > 0) return;
    result_.settings = std::move(settings);
    result_.routes = std::make_shared<const routing::route_table>(std::move(parts));
  }

  fs::path path_;
  report report_;
  yaml_source source_;
  extent extent_;
  loaded result_;
};

}  // namespace

loaded load(const fs::path& daemon_file) { return loader(daemon_file, loader::extent::everything).load(); }

loaded load_settings(const fs::path& daemon_file) { return loader(daemon_file, loader::extent::settings).load(); }

}  // namespace conf
