// Both files from a folder: what is found where, includes, and what cannot be read.
#include "conf/load.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/conf/tools.hpp"

namespace load_test {

namespace {

using lines = std::vector<std::string>;
using tests::configuration_folder;

const lines none;

const std::string daemon_file = "listen: [{ address: 127.0.0.1:6432 }]\nroutes: routes.yaml\n";
const std::string places =
    "servers: { main: { hosts: [pg1] } }\ndatabases: { shared: { server: main } }\ndefaults: { database: shared }\n";

lines names(const configuration_folder& folder, const std::vector<std::filesystem::path>& paths) {
  lines made;
  for (const auto& path : paths)
    made.push_back(path == folder.path() ? "." : path.lexically_relative(folder.path()).native());
  return made;
}

lines tenants(const conf::loaded& loaded) {
  REQUIRE(loaded.routes);
  lines ids;
  for (const auto& [id, rule] : loaded.routes->tenants()) ids.push_back(id);
  std::ranges::sort(ids);
  return ids;
}

}  // namespace

TEST_CASE("a good pair of files", "[load]") {
  const configuration_folder folder;
  folder.write("pglodge.yaml", daemon_file);
  folder.write("routes.yaml", places + "tenants: { acme: {}, \"t-*\": {} }\n");
  const auto loaded = folder.load();
  CHECK(loaded.errors == none);
  CHECK(loaded.warnings == none);
  REQUIRE(loaded.settings);
  CHECK(loaded.settings->routes == folder.path() / "routes.yaml");
  CHECK(tenants(loaded) == lines{"acme"});
  CHECK(loaded.routes->patterns().size() == 1);
  CHECK(names(folder, loaded.files) == lines{"pglodge.yaml", "routes.yaml"});
  CHECK(loaded.folders.empty());
}

TEST_CASE("the shipped samples load, without a warning", "[load]") {
  const auto loaded = conf::load(std::filesystem::path(PGLODGE_CONF_FOLDER) / "pglodge.yaml");
  CHECK(loaded.errors == none);
  CHECK(loaded.warnings == none);
  CHECK(loaded.routes);
}

TEST_CASE("the errors of both files come in one go, in the order of the files", "[load]") {
  const configuration_folder folder;
  folder.write("pglodge.yaml", daemon_file + "wrokers: 2\n");
  folder.write("routes.yaml",
               "servers:\n"
               "  main: { hosts: [db.internal], max_conections: 5 }\n"
               "databases:\n"
               "  shared: { server: mian }\n"
               "defaults: { database: shared }\n"
               "tenants:\n"
               "  'no good': {}\n"
               "  fine: { state: sleeping }\n");
  const auto loaded = folder.load();
  CHECK_FALSE(loaded.settings);
  CHECK_FALSE(loaded.routes);
  CHECK(loaded.errors ==
        lines{"pglodge.yaml:3:1: wrokers: unknown key; did you mean \"workers\"?",
              "routes.yaml:2:33: servers.main.max_conections: unknown key; did you mean \"max_connections\"?",
              "routes.yaml:4:21: databases.shared.server: no such server: \"mian\"; did you mean \"main\"?",
              ("routes.yaml:7:3: tenants.\"no good\": not a tenant's id; ids match [A-Za-z0-9_][A-Za-z0-9_.-]{0,62}, "
               "patterns have a *"),
              "routes.yaml:8:18: tenants.fine.state: \"sleeping\" is not one of active, read_only, held or suspended"});
}

TEST_CASE("files are called as they were called", "[load]") {
  const configuration_folder folder;
  folder.write("pglodge.yaml", "listen: [{ address: a }]\nroutes: sub/routes.yaml\nx: y\n");
  folder.write("sub/routes.yaml", "include: [more/*.yaml]\n" + places + "tenants: {}\nx: y\n");
  folder.write("sub/more/one.yaml", "x: y\n");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  const auto loaded = conf::load("pglodge.yaml");
  std::filesystem::current_path(before);
  REQUIRE(loaded.errors.size() == 3);
  CHECK(loaded.errors[0].starts_with("pglodge.yaml:3:1: x: "));
  CHECK(loaded.errors[1].starts_with("sub/routes.yaml:6:1: x: "));
  CHECK(loaded.errors[2].starts_with("sub/more/one.yaml:1:1: x: "));
  CHECK(std::ranges::all_of(loaded.files, &std::filesystem::path::is_absolute));
  CHECK(std::ranges::all_of(loaded.folders, &std::filesystem::path::is_absolute));
}

TEST_CASE("what cannot be read is told where it is named, and watched all the same", "[load]") {
  const configuration_folder folder;
  const auto first_error = [&] {
    const auto loaded = folder.load();
    REQUIRE(loaded.errors.size() == 1);
    CHECK_FALSE(loaded.routes);
    return loaded.errors[0];
  };
  CHECK(first_error() ==
        "pglodge.yaml:1:1: cannot be read: No such file or directory; write that file, or name another with -c");
  CHECK(names(folder, folder.load().files) == lines{"pglodge.yaml"});

  folder.write("pglodge.yaml", daemon_file);
  CHECK(first_error() ==
        "pglodge.yaml:2:9: routes: cannot read \"routes.yaml\": No such file or directory; write that file, or mend "
        "its name here");
  CHECK(names(folder, folder.load().files) == lines{"pglodge.yaml", "routes.yaml"});

  folder.write("routes.yaml", "");
  CHECK(first_error() == "routes.yaml:1:1: the file is empty; write at least servers, databases and tenants");
  folder.write("pglodge.yaml", "# nothing\n");
  CHECK(first_error() == "pglodge.yaml:1:1: the file is empty; write at least listen and routes");

  std::filesystem::remove(folder.path() / "pglodge.yaml");
  std::filesystem::create_directory(folder.path() / "pglodge.yaml");
  CHECK(first_error() == "pglodge.yaml:1:1: cannot be read: it is a folder; write that file, or name another with -c");
  std::filesystem::remove(folder.path() / "pglodge.yaml");
  REQUIRE(::mkfifo((folder.path() / "pglodge.yaml").c_str(), 0600) == 0);
  CHECK(first_error() ==
        "pglodge.yaml:1:1: cannot be read: it is not a regular file; write that file, or name another with -c");
}

TEST_CASE("routes may be a folder", "[load]") {
  const configuration_folder folder;
  folder.write("pglodge.yaml", "listen: [{ address: a }]\nroutes: r\n");
  std::filesystem::create_directory(folder.path() / "r");
  CHECK(folder.load().errors ==
        lines{"pglodge.yaml:2:9: routes: the folder \"r\" holds no *.yaml file; write one there, or name a file"});
  folder.write("r/20.yml", "tenants: { b: {} }\nunknown_tenants: reject\n");
  folder.write("r/10.yaml", places + "tenants: { a: {} }\nunknown_tenants: default\n");
  folder.write("r/30.yaml", "");
  folder.write("r/.hidden.yaml", "nonsense: {{{\n");
  folder.write("r/README", "nonsense: {{{\n");
  const auto loaded = folder.load();
  CHECK(loaded.errors == none);
  CHECK(tenants(loaded) == lines{"a", "b"});
  CHECK(loaded.routes->parts().unknown == routing::unknown_tenants::reject);
  CHECK(names(folder, loaded.files) == lines{"pglodge.yaml", "r/10.yaml", "r/20.yml", "r/30.yaml"});
  CHECK(names(folder, loaded.folders) == lines{"r"});
}

TEST_CASE("included files come after, in the order of the patterns and by name", "[load]") {
  const configuration_folder folder;
  folder.write("pglodge.yaml", daemon_file);
  folder.write("routes.yaml", "include: [d/*.yaml, ./extra.yml]\ntenants: { a: {} }\nhints: [{ startup: a.a }]\n");
  folder.write("d/2.yaml", "hints: [{ startup: b.b }]\ntenants: { c: { database: shared } }\n");
  folder.write("d/1.yaml", places + "tenants: { b: {} }\n");
  folder.write("d/3.yaml", "# nothing yet\n");
  folder.write("d/4.yml", "nonsense: {{{\n");
  folder.write("extra.yml", "defaults: { database: shared, schema: s }\n");
  const auto loaded = folder.load();
  CHECK(loaded.errors == none);
  CHECK(tenants(loaded) == lines{"a", "b", "c"});
  CHECK(loaded.routes->hints().front().name == "b.b");              // the later list as a whole
  CHECK((*loaded.routes->parts().defaults.schema)->text() == "s");  // likewise
  CHECK(names(folder, loaded.files) ==
        lines{"pglodge.yaml", "routes.yaml", "d/1.yaml", "d/2.yaml", "d/3.yaml", "./extra.yml"});
  CHECK(names(folder, loaded.folders) == lines{"d"});
}

TEST_CASE("a file that two patterns find is read once, and nobody includes himself", "[load]") {
  const configuration_folder folder;
  folder.write("pglodge.yaml", daemon_file);
  folder.write("routes.yaml", "include: [r*.yaml, r2.yaml, ./r2.yaml]\n" + places + "tenants: { a: {} }\n");
  folder.write("r2.yaml", "tenants: { b: {} }\n");
  const auto loaded = folder.load();
  CHECK(loaded.errors == none);
  CHECK(tenants(loaded) == lines{"a", "b"});
}

TEST_CASE("what include may not say", "[load]") {
  const configuration_folder folder;
  folder.write("pglodge.yaml", daemon_file);
  folder.write("deep.yaml", "include: [one.yaml]\n");
  std::filesystem::create_directory(folder.path() / "d.yaml");
  const auto errors = [&](const std::string& include) {
    folder.write("routes.yaml", "include: " + include + "\n" + places + "tenants: {}\n");
    return folder.load().errors;
  };
  CHECK(errors("one.yaml") == lines{"routes.yaml:1:10: include: expected a list; write [one.yaml]"});
  CHECK(errors("[one.yaml]") == lines{"routes.yaml:1:11: include.0: cannot read \"one.yaml\": No such file or "
                                      "directory; write that file, or mend its name here"});
  CHECK(errors("[x/*.yaml]") ==
        lines{"routes.yaml:1:11: include.0: no file matches \"x/*.yaml\"; write one, or remove the pattern"});
  CHECK(errors("[\"*/one.yaml\"]") ==
        lines{"routes.yaml:1:11: include.0: only the file's name may hold wildcards, not its folder"});
  CHECK(errors("[routes.d]") == lines{"routes.yaml:1:11: include.0: \"routes.d\" does not end in .yaml or .yml; for a "
                                      "folder write \"routes.d/*.yaml\""});
  CHECK(errors("[d.yaml]") == lines{"routes.yaml:1:11: include.0: cannot read \"d.yaml\": it is a folder; write that "
                                    "file, or mend its name here"});
  CHECK(
      errors("[deep.yaml]") ==
      lines{"deep.yaml:1:1: include: an included file cannot include others; move this to the file that includes it"});
  CHECK(errors("[null, { a: b }]").size() == 2);
}

TEST_CASE("what is defined twice names both places", "[load]") {
  const configuration_folder folder;
  folder.write("pglodge.yaml", daemon_file);
  folder.write("routes.yaml", "include: [two.yaml]\n" + places + "tenants: { a: {}, \"t-*\": {} }\n");
  folder.write("two.yaml", "servers: { main: {} }\ndatabases: { shared: {} }\ntenants:\n  a: {}\n  \"t-*\": {}\n");
  CHECK(folder.load().errors ==
        lines{"two.yaml:1:12: servers.main: already defined at routes.yaml:2:12; keep one of them",
              "two.yaml:2:14: databases.shared: already defined at routes.yaml:3:14; keep one of them",
              "two.yaml:4:3: tenants.a: already defined at routes.yaml:5:12; keep one of them",
              "two.yaml:5:3: tenants.t-*: already defined at routes.yaml:5:19; keep one of them"});
}

TEST_CASE("names that may stand in a file that cannot be read are not missed", "[load]") {
  const configuration_folder folder;
  folder.write("pglodge.yaml", daemon_file);
  folder.write("routes.yaml", "include: [places.yaml]\ntenants: { a: {}, b: { database: shared } }\n");
  folder.write("places.yaml", places + "{{{\n");
  const auto errors = folder.load().errors;
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].starts_with("places.yaml:"));
}

TEST_CASE("auth.query names a database of the table", "[load]") {
  const configuration_folder folder;
  const std::string query = "auth: { query: { database: shraed, user: u, sql: s } }\n";
  folder.write("pglodge.yaml", daemon_file + query);
  folder.write("routes.yaml", places + "tenants: {}\n");
  CHECK(folder.load().errors ==
        lines{"pglodge.yaml:3:28: auth.query.database: no such database: \"shraed\"; did you mean \"shared\"?"});
}

TEST_CASE("passthrough does not lead to a server that knows the lodge", "[load]") {
  const configuration_folder folder;
  const auto errors = [&](const std::string& server, const std::string& auth) {
    folder.write("pglodge.yaml", daemon_file + auth);
    folder.write("routes.yaml", "servers: { main: { hosts: [pg1], " + server +
                                    " } }\ndatabases: { shared: { server: main } }\ndefaults: { database: shared }\n"
                                    "tenants: {}\n");
    return folder.load().errors;
  };
  const auto told = [](const std::string& place, const std::string& key) {
    return lines{"pglodge.yaml:" + place +
                 "passthrough would have server \"main\" find out who the client is, but by " + key +
                 " the lodge logs in there as itself; write another method, or remove that key"};
  };
  const std::string user = "servers.main.user";
  CHECK(errors("user: u", "") == told("1:1: auth: missing; without auth.method ", user));
  CHECK(errors("user: u", "auth: {}\n") == told("3:1: auth.method: missing; without it ", user));
  CHECK(errors("user: u", "auth: { method: passthrough }\n") == told("3:17: auth.method: ", user));
  CHECK(errors("user: u", "auth: { method: trust, rules: [{ role: r, method: passthrough }] }\n") ==
        told("3:51: auth.rules.0.method: ", user));
  CHECK(errors("tls: { mode: require, certificate: c, key: k }", "") ==
        told("1:1: auth: missing; without auth.method ", "servers.main.tls.certificate"));
  // What is not used, is never reached, or is for certain tenants.
  CHECK(errors("tls: { certificate: c, key: k }", "") == none);
  CHECK(errors("user: u", "auth: { method: trust }\n") == none);
  CHECK(errors("user: u", "auth: { rules: [{ method: reject }, { method: passthrough }] }\n") == none);
  CHECK(errors("user: u", "auth: { method: trust, rules: [{ tenant: t, method: passthrough }] }\n") == none);
}

TEST_CASE("a link is followed, and its name kept", "[load]") {
  const configuration_folder folder;
  folder.write("pglodge.yaml", daemon_file);
  folder.write("v1/routes.yaml", "include: [more.yaml]\n" + places + "tenants: {}\n");
  folder.write("more.yaml", "tenants: { a: {} }\n");
  std::filesystem::create_symlink("v1/routes.yaml", folder.path() / "routes.yaml");
  const auto loaded = folder.load();
  CHECK(loaded.errors == none);
  CHECK(names(folder, loaded.files) == lines{"pglodge.yaml", "routes.yaml", "more.yaml"});
}

TEST_CASE("the settings alone do not need a table", "[load]") {
  const configuration_folder folder;
  const auto file = folder.write("pglodge.yaml", daemon_file + "usage: { ledger: u }\n");
  folder.write("routes.yaml", "tenants: 5\n");
  const auto loaded = conf::load_settings(file);
  CHECK(loaded.errors == none);
  REQUIRE(loaded.settings);
  CHECK(loaded.settings->usage.ledger == folder.path() / "u");
  CHECK_FALSE(loaded.routes);
  folder.write("pglodge.yaml", daemon_file + "usage: {}\n");
  CHECK(conf::load_settings(file).errors.size() == 1);
  CHECK_FALSE(conf::load_settings(file).settings);
}

}  // namespace load_test
