#include "proxy/commands.hpp"

#include <algorithm>
#include <iostream>

#include "conf/load.hpp"
#include "proxy/command_line.hpp"
#include "proxy/credentials.hpp"
#include "proxy/desk/usage_reader.hpp"
#include "proxy/desk/usage_report.hpp"
#include "proxy/explain_route.hpp"
#include "routing/ids.hpp"

namespace proxy {
namespace {

struct findings {
  std::vector<std::string> errors, warnings;
};

constexpr std::string_view id_pattern = "([A-Za-z0-9_][A-Za-z0-9_.-]{0,62})";

bool report_errors(const std::vector<std::string>& errors) {
  for (const std::string& error : errors) std::cerr << error << '\n';
  if (!errors.empty()) std::cerr << errors.size() << " error(s)\n";
  return !errors.empty();
}

// The error is what is wrong with the arguments.
std::expected<desk::usage_query, std::string> query_of(const usage_arguments& arguments) {
  const auto from = desk::parse_time(arguments.from);
  if (!from) return std::unexpected("--from: " + from.error());
  const auto to = desk::parse_time(arguments.to);
  if (!to) return std::unexpected("--to: " + to.error());
  if (*from >= *to) {
    return std::unexpected("--from " + arguments.from + " is not before --to " + arguments.to +
                           "; for a single day, --to is the next one");
  }
  if (arguments.tenant && !routing::tenant_id::parse(*arguments.tenant))
    return std::unexpected("--tenant: \"" + *arguments.tenant + "\" is not a tenant id " + std::string(id_pattern));
  return desk::usage_query{*from, *to, arguments.tenant};
}

bool is_folder(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

// What is below /run is there once the service has been started: a service manager makes it.
bool is_made_at_start(const std::filesystem::path& path) {
  const std::string& name = path.native();
  return name.starts_with("/run/") || name.starts_with("/var/run/");
}

// What `serve` finds out only when it opens the doors and writes what was used.
findings look_for_folders(const conf::daemon_settings& settings) {
  findings out;
  for (const conf::listen_settings& door : settings.listen) {
    const auto& folder = door.unix_folder;
    if (folder.empty() || is_folder(folder)) continue;
    const std::string missing = "listen: there is no folder \"" + folder.native() + "\", without which serve ";
    if (is_made_at_start(folder)) {
      out.warnings.push_back(missing + "fails; a service manager may make it then (RuntimeDirectory=)");
    } else {
      out.errors.push_back(missing + "does not start; make it, or name another");
    }
  }
  const auto& ledger = settings.usage.ledger;
  if (ledger.empty() || is_folder(ledger)) return out;
  out.warnings.push_back("usage.ledger: there is no folder \"" + ledger.native() +
                         "\"; serve starts, and what is used until somebody makes it is lost when it ends");
  return out;
}

// A rule for certain tenants speaks of them alone, who may well live by themselves.
bool comes_by_passthrough(const conf::auth_settings& auth) {
  const auto lets_in = [](const conf::auth_rule& rule) {
    return rule.method == conf::auth_method::passthrough && rule.tenant.empty();
  };
  return auth.method == conf::auth_method::passthrough || std::ranges::any_of(auth.rules, lets_in);
}

void look_for_guard(const conf::loaded& loaded, findings& out) {
  if (!comes_by_passthrough(loaded.settings->auth)) return;
  const routing::database* place = loaded.routes->guarded_place();
  if (place == nullptr) return;
  out.warnings.push_back("auth: tenants share the database entry \"" + place->name +
                         "\", and the guard does not watch who comes by passthrough: nothing of the lodge's keeps them "
                         "apart; write another method, or give each tenant a login of its own and write guard: off");
}

findings look_around(const conf::loaded& loaded) {
  findings out = look_for_folders(*loaded.settings);
  look_for_guard(loaded, out);
  return out;
}

}  // namespace

int check(const std::filesystem::path& config) {
  const conf::loaded loaded = conf::load(config);
  if (report_errors(loaded.errors)) return exit_failed;
  auth_tools tools;
  const loaded_credentials named = load_credentials(tools, *loaded.settings, *loaded.routes);
  tools.close();
  const findings around = look_around(loaded);
  std::vector<std::string> errors = named.errors;
  errors.insert(errors.end(), around.errors.begin(), around.errors.end());
  if (report_errors(errors)) return exit_failed;
  for (const auto* warnings : {&loaded.warnings, &named.warnings, &around.warnings}) {
    for (const std::string& warning : *warnings) std::cout << "warning: " << warning << '\n';
  }
  const routing::route_table& table = *loaded.routes;
  std::cout << "ok: " << table.tenants().size() << " tenants, " << table.patterns().size() << " patterns, "
            << table.parts().databases.size() << " databases, " << table.parts().servers.size() << " servers, from "
            << loaded.files.size() << " files\n";
  return exit_done;
}

int route(const std::filesystem::path& config, const std::string& subject) {
  const conf::loaded loaded = conf::load(config);
  if (report_errors(loaded.errors)) return exit_failed;

  const auto explained = explain_route(*loaded.settings, *loaded.routes, subject);
  if (!explained) {
    std::cerr << "pglodge: " << explained.error() << '\n';
    return exit_usage;
  }
  std::cout << explained->text();
  return explained->admitted ? exit_done : exit_failed;
}

int usage(const std::filesystem::path& config, const usage_arguments& arguments) {
  const auto query = query_of(arguments);
  if (!query) {
    std::cerr << "pglodge: " << query.error() << '\n';
    return exit_usage;
  }
  // Not the routing table: with a mistake in it there is a bill all the same.
  const conf::loaded loaded = conf::load_settings(config);
  if (report_errors(loaded.errors)) return exit_failed;
  const auto& folder = loaded.settings->usage.ledger;
  if (folder.empty()) {
    std::cerr << "pglodge: there is no usage ledger; write usage: { ledger: FOLDER } into " << config.native() << '\n';
    return exit_failed;
  }
  const auto sums = desk::sum_usage(folder, *query, [](const std::string& line) { std::cerr << line << '\n'; });
  if (!sums) {
    std::cerr << "pglodge: " << sums.error() << '\n';
    return exit_failed;
  }
  std::cout << desk::to_text(*sums, arguments.format) << std::flush;
  if (std::cout) return exit_done;
  std::cerr << "pglodge: the sums could not be written to standard output\n";
  return exit_failed;
}

}  // namespace proxy
