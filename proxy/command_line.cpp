#include "proxy/command_line.hpp"

#include <CLI/CLI.hpp>

#include <iostream>
#include <map>
#include <string_view>
#include <vector>

#include "conf/words.hpp"

namespace proxy {
namespace {

const std::map<std::string, desk::usage_format> usage_formats{
    {"table", desk::usage_format::table}, {"csv", desk::usage_format::csv}, {"json", desk::usage_format::json}};

void add_usage_options(CLI::App& usage, usage_arguments& into) {
  usage.add_option("--from", into.from, "a date, 2026-11-01, or a time, 2026-11-01T06:00:00+01:00; UTC if no zone")
      ->required();
  usage.add_option("--to", into.to, "likewise; not included: the month's end is the first of the next")->required();
  usage.add_option("--tenant", into.tenant, "only this one");
  usage
      .add_option_function<std::string>(
          "--format", [&into](const std::string& word) { into.format = usage_formats.at(word); },
          "table (if left out), csv or json; the latter two give times in microseconds")
      ->check(CLI::IsMember(&usage_formats));
  usage.footer("Counted are the intervals that ended at --from or later, and before --to.");
}

void add_top_options(CLI::App& top, top_arguments& into) {
  top.add_option("--url", into.url,
                 "the console: postgres://postgres@127.0.0.1:6432/pglodge; if left out, the first door of the daemon's "
                 "file, as the first of admin.users");
  top.add_option("--interval", into.interval, "how long one look lasts: 500ms, 2s, 1m")->capture_default_str();
  top.add_option("--sort", into.sort,
                 "tenant, clients, active, waiting, tx, statements, errors, bytes, time, wait or busy")
      ->capture_default_str();
  top.add_flag("--once", into.once, "print one table, for scripts");
  top.add_flag("--all", into.all, "tenants that do nothing, too");
  top.footer(
      "Passwords come from PGPASSWORD or ~/.pgpass. Keys: the letter of a column sorts, r turns, i shows idle "
      "tenants, q leaves.");
}

// Where a word stands in the place of the command; empty if there is none.
std::string about_unknown_command(const CLI::App& app) {
  const std::vector<std::string> rest = app.remaining();
  if (!app.get_subcommands().empty() || rest.empty() || rest.front().starts_with('-')) return {};
  const std::vector<const CLI::App*> commands = app.get_subcommands([](const CLI::App*) { return true; });
  std::vector<std::string> names;
  names.reserve(commands.size());
  for (const CLI::App* one : commands) names.push_back(one->get_name());
  const std::vector<std::string_view> words(names.begin(), names.end());
  std::string meant = conf::did_you_mean(rest.front(), words);
  if (meant.empty()) meant = "; write " + conf::any_of_words(words);
  return "there is no command " + conf::in_quotes(rest.front()) + meant;
}

std::unexpected<int> refused(const std::string& why) {
  std::cerr << "pglodge: " << why << "\nTry 'pglodge --help'.\n";
  return std::unexpected(exit_usage);
}

}  // namespace

std::expected<command_line, int> parse_command_line(int argc, const char* const* argv) {
  command_line line;
  CLI::App app{"pglodge, the porter's lodge in front of PostgreSQL: it takes each session to where its tenant lives."};
  app.name("pglodge");
  app.set_version_flag("--version", std::string("pglodge ") + PGLODGE_VERSION);
  app.require_subcommand(1);
  app.footer("Exit codes: 0 done, 1 failed, 2 bad usage.");

  const auto with_config = [&](CLI::App* sub) {
    sub->add_option("-c,--config", line.config, "the daemon's file")->capture_default_str();
    return sub;
  };
  with_config(app.add_subcommand("serve", "run in the foreground"))->callback([&] { line.what = command::serve; });
  with_config(app.add_subcommand("check", "validate both files: 0 and a summary, or 1 and every error"))->callback([&] {
    line.what = command::check;
  });
  auto* route = with_config(app.add_subcommand("route", "explain where a session would go, and why"));
  route->callback([&] { line.what = command::route; });
  route->add_option("url-or-tenant", line.subject, "postgres://app.acme@lodge/crm, or a bare tenant id")->required();
  auto* usage = with_config(app.add_subcommand("usage", "sum what tenants used, from the usage ledger"));
  usage->callback([&] { line.what = command::usage; });
  add_usage_options(*usage, line.usage);

  auto* top = with_config(app.add_subcommand("top", "show what tenants do now, by the console"));
  top->callback([&] { line.what = command::top; });
  add_top_options(*top, line.top);

  auto* import =
      app.add_subcommand("import-pgbouncer", "make both files from PgBouncer's, and say what has no counterpart");
  import->add_option("ini", line.ini, "pgbouncer.ini")->required();
  std::filesystem::path folder = ".";
  bool to_stdout = false;
  auto* output =
      import->add_option("-o,--output", folder, "the folder for them, which must exist; nothing there is overwritten");
  output->capture_default_str();
  import->add_flag("--stdout", to_stdout, "show them instead")->excludes(output);
  import->callback([&] {
    line.what = command::import_pgbouncer;
    if (!to_stdout) line.folder = folder;
  });

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    app.exit(done, std::cout, std::cerr);
    return std::unexpected(exit_done);
  } catch (const CLI::RequiredError& error) {
    const std::string unknown = about_unknown_command(app);
    return refused(unknown.empty() ? error.what() : unknown);
  } catch (const CLI::ParseError& error) {
    return refused(error.what());
  }
  return line;
}

}  // namespace proxy
