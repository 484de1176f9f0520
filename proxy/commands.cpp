#include "proxy/commands.hpp"

#include <iostream>

#include "conf/load.hpp"
#include "proxy/command_line.hpp"
#include "proxy/explain_route.hpp"

namespace proxy {
namespace {

bool report_errors(const conf::loaded& loaded) {
  for (const std::string& error : loaded.errors) std::cerr << error << '\n';
  if (!loaded.errors.empty()) std::cerr << loaded.errors.size() << " error(s)\n";
  return !loaded.errors.empty();
}

}  // namespace

int check(const std::filesystem::path& config) {
  const conf::loaded loaded = conf::load(config);
  if (report_errors(loaded)) return exit_failed;
  for (const std::string& warning : loaded.warnings) std::cout << "warning: " << warning << '\n';
  const routing::route_table& table = *loaded.routes;
  std::cout << "ok: " << table.tenants().size() << " tenants, " << table.patterns().size() << " patterns, "
            << table.parts().databases.size() << " databases, " << table.parts().servers.size() << " servers, from "
            << loaded.files.size() << " files\n";
  return exit_done;
}

int route(const std::filesystem::path& config, const std::string& subject) {
  const conf::loaded loaded = conf::load(config);
  if (report_errors(loaded)) return exit_failed;

  const auto explained = explain_route(*loaded.routes, subject);
  if (!explained) {
    std::cerr << "pglodge: " << explained.error() << '\n';
    return exit_usage;
  }
  std::cout << explained->text;
  return explained->admitted ? exit_done : exit_failed;
}

}  // namespace proxy
