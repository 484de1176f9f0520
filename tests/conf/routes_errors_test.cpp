// Every mistake in a routing table: where it is found, and in which words.
#include <catch2/catch.hpp>

#include "tests/conf/tools.hpp"

namespace routes_errors_test {

namespace {

struct mistake {
  std::string text;                 // completed by what else a table needs
  std::vector<std::string> errors;  // after the file's name
};

void check(const std::vector<mistake>& mistakes) {
  for (const mistake& one : mistakes) {
    INFO(one.text);
    std::vector<std::string> expected;
    expected.reserve(one.errors.size());
    for (const std::string& error : one.errors) expected.push_back("routes.yaml:" + error);
    CHECK(tests::read_routes(tests::with_places(one.text)).errors == expected);
  }
}

TEST_CASE("mistakes: what a file as a whole can be", "[errors]") {
  check({
      {"tenants: 5", {"1:10: tenants: expected a mapping such as acme: { database: acme }, not \"5\""}},
      {"tenants: [", {"3:1: not valid YAML: a list opened with [ is not closed here; write ] or a comma"}},
      {"defaults: { database: nowhere }",
       {"1:23: defaults.database: no such database: \"nowhere\"; define it under databases, or write the name of one "
        "that is there"}},
      {"\tnonsense: {{{", {"1:1: not valid YAML: a tab as indentation; YAML indents by spaces alone"}},
      {"tenants:\n\tacme:\n\t\tschema: a\n",
       {"2:1: not valid YAML: a tab as indentation; YAML indents by spaces alone"}},
      {"hints:\n \t- database: '{tenant}'\n",
       {"2:2: not valid YAML: a tab as indentation; YAML indents by spaces alone"}},
      {"tenants: { a: {}, a: {} }",
       {"1:19: tenants.a: duplicate key, first written at line 1, column 12; keep one of them"}},
      {"tenants:\n  acme: {}\n  acme: { database: shared }\nhints: []\nhints: []",
       {"3:3: tenants.acme: duplicate key, first written at line 2, column 3; keep one of them",
        "5:1: hints: duplicate key, first written at line 4, column 1; keep one of them"}},
      {"tenants:\n  ? [a, b]\n  : {}", {"2:5: tenants: a key must be plain text; put it in quotes"}},
      {"tenants: {}\nservres: {}", {"2:1: servres: unknown key; did you mean \"servers\"?"}},
      {"tenants: {}\n<<: { hints: [] }",
       {"2:1: \"<<\": unknown key; known here: include, hints, servers, databases, roles, defaults, tenants, "
        "unknown_tenants or no_tenant"}},
      {"tenants: !tenants {}", {"1:10: the tag \"!tenants\" has no meaning here; remove it"}},
      {"tenants: *nobody", {"1:10: not valid YAML: an alias (*name) without an anchor (&name) before it"}},
      {"tenants: &t { a: *t }", {"1:18: an alias (*name) inside what it stands for"}},
      {"tenants:\n  glo", {"2:3: tenants: expected a mapping such as acme: { database: acme }, not \"glo\""}},
      {"tenants:", {"1:1: tenants: nothing is written here; write {} if there shall be none, or remove the key"}},
      {"tenants: { acme: { schema: \"\\0\" } }",
       {"1:28: tenants.acme.schema: holds a NUL character, which PostgreSQL's texts cannot; remove it"}},
      {"key: a: b",
       {"1:7: not valid YAML: a colon where no value can begin; put the text in quotes, or mend the indentation"}},
      {"tenants: {}\ndatabases:\n\tshared: {}",
       {"3:1: not valid YAML: a tab as indentation; YAML indents by spaces alone"}},
      {"tenants: { acme: {} ]", {"1:21: not valid YAML: a closing bracket that does not fit what was opened"}},
      {"tenants: { acme: { schema: \"open } }",
       {"5:1: not valid YAML: a mapping opened with { is not closed here; write } or a comma"}},
  });
}

TEST_CASE("mistakes: hints", "[errors]") {
  check({
      {"hints: { user: \"{role}.{tenant}\" }",
       {"1:8: hints: expected a list, not a mapping; write each entry after \"- \""}},
      {"hints: user", {"1:8: hints: expected a list; write [{ user: \"{role}.{tenant}\" }]"}},
      {"hints: [user]", {"1:9: hints.0: expected a mapping of keys and values, not \"user\""}},
      {"hints: [{}]", {"1:9: hints.0: an empty entry; write a hint such as user: \"{role}.{tenant}\", or remove it"}},
      {"hints: [{ user: \"{role}\" }]",
       {"1:17: hints.0.user: \"{role}\" yields no tenant; write {tenant} where its id stands"}},
      {"hints: [{ user: \"{role}{tenant}\" }]",
       {"1:17: hints.0.user: \"{role}{tenant}\": {role}{tenant} need text between them that says where one ends"}},
      {"hints: [{ user: \"{role}.{tenant\" }]",
       {"1:17: hints.0.user: \"{role}.{tenant\": '{' without '}'; write \"{{\" for the character itself"}},
      {"hints: [{ user: \"{dbname}.{tenant}\" }]",
       {"1:17: hints.0.user: \"{dbname}.{tenant}\": unknown variable {dbname}; known here: {role}, {tenant}"}},
      {"hints: [{ database: \"{role}.{tenant}\" }]",
       {"1:21: hints.0.database: \"{role}.{tenant}\": unknown variable {role}; known here: {dbname}, {tenant}"}},
      {"hints: [{ user: \"{role}.{tenant}\", startup: app.tenant }]",
       {"1:9: hints.0: several hints in one entry have no order; give each its own, after \"- \""}},
      {"hints: [{ usr: \"{role}.{tenant}\" }]", {"1:11: hints.0.usr: unknown key; did you mean \"user\"?"}},
      {"hints: [{ startup: \"app tenant\" }]",
       {"1:20: hints.0.startup: \"app tenant\" is not the name of a setting; write one such as work_mem or "
        "app.tenant"}},
      {"hints: [{ startup: Database }]",
       {"1:20: hints.0.startup: \"Database\" is a field of the startup packet, not a setting; write one such as "
        "work_mem or app.tenant"}},
      {"hints: [{ variable: .tenant }]",
       {"1:21: hints.0.variable: \".tenant\" is not the name of a setting; write one such as work_mem or app.tenant"}},
      {"hints: [{ certificate: can }]",
       {"1:24: hints.0.certificate: \"can\" is not one of cn or san; did you mean \"cn\"?"}},
      {"hints: [{ startup: app.tenant }, { startup: app.tenant }]",
       {"1:34: hints.1: the same hint as above; remove one of them"}},
      {"hints: [{ sni: \"{tenant}.{role}\" }]",
       {"1:16: hints.0.sni: \"{tenant}.{role}\": unknown variable {role}; known here: {tenant}"}},
      {"hints:", {"1:1: hints: nothing is written here; write [] if there shall be none, or remove the key"}},
  });
}

TEST_CASE("mistakes: servers", "[errors]") {
  check({
      {"servers: [main]",
       {"1:10: servers: expected a mapping such as main: { hosts: [pg1.internal:5432] }, not a list"}},
      {"servers: { main: }",
       {"1:18: servers.main: nothing is written here; write a mapping of keys and values, or remove the key"}},
      {"servers: { main: {} }",
       {"1:12: servers.main.hosts: missing; write where the server listens, such as hosts: [pg1.internal:5432]"}},
      {"servers: { main: { hosts: pg1.internal } }",
       {"1:27: servers.main.hosts: expected a list; write [pg1.internal]"}},
      {"servers: { main: { hosts: [] } }",
       {"1:27: servers.main.hosts: an empty list; write at least one address, such as pg1.internal:5432"}},
      {"servers: { main: { hosts: [{ host: pg1 }] } }", {"1:28: servers.main.hosts.0: expected text, not a mapping"}},
      {"servers: { main: { hosts: [\"pg1:0\", \"pg1:65536\", \"pg1:x\", \"pg1:\", \":5432\", \"5432\"] } }",
       {"1:28: servers.main.hosts.0: \"0\" is not a port; write a number from 1 to 65535",
        "1:37: servers.main.hosts.1: \"65536\" is not a port; write a number from 1 to 65535",
        "1:50: servers.main.hosts.2: \"x\" is not a port; write a number from 1 to 65535",
        "1:59: servers.main.hosts.3: \"\" is not a port; write a number from 1 to 65535",
        "1:67: servers.main.hosts.4: \":5432\" names no host; write host:port",
        "1:76: servers.main.hosts.5: \"5432\" names a port and no host; write host:port"}},
      {"servers: { main: { hosts: [\"::1\", \"[::1\", \"[pg1]:5432\", \"pg1 pg2\", \"pg1,pg2\", \"a/b\", \"*\"] } }",
       {"1:28: servers.main.hosts.0: \"::1\" is not an address; write an IPv6 address in brackets, [::1]:5432",
        "1:35: servers.main.hosts.1: \"[::1\" is not an address; write [::1] or [::1]:5432",
        "1:43: servers.main.hosts.2: \"[pg1]:5432\" is not an IPv6 address; brackets are for those only",
        "1:57: servers.main.hosts.3: \"pg1 pg2\" is not an address; write host or host:port, one an entry",
        "1:68: servers.main.hosts.4: \"pg1,pg2\" is not an address; write host or host:port, one an entry",
        "1:79: servers.main.hosts.5: \"a/b\" is not an address; write host:port, or a socket's folder, /run/pg",
        "1:86: servers.main.hosts.6: \"*\" is no host that can be reached; write its name"}},
      {"servers: { main: { hosts: [pg1, \"pg1:5432\"] } }",
       {"1:33: servers.main.hosts.1: \"pg1:5432\" is there already; remove it"}},
      {"servers: { main: { hosts: [pg1], max_conections: 5 } }",
       {"1:34: servers.main.max_conections: unknown key; did you mean \"max_connections\"?"}},
      {"servers: { main: { hosts: [pg1], max_connections: 070 } }",
       {"1:51: servers.main.max_connections: \"070\" could be read as octal; write 70 without leading zeros; allowed "
        "is 1 to 1000000"}},
      {"servers: { main: { hosts: [pg1], max_connections: 0x10 } }",
       {"1:51: servers.main.max_connections: \"0x10\" is not a whole number in decimal digits; allowed is 1 to "
        "1000000"}},
      {"servers: { main: { hosts: [pg1], max_connections: 1e3 } }",
       {"1:51: servers.main.max_connections: \"1e3\" is not a whole number in decimal digits; allowed is 1 to "
        "1000000"}},
      {"servers: { main: { hosts: [pg1], max_connections: 0 } }",
       {"1:51: servers.main.max_connections: 0 is out of range; write a number from 1 to 1000000"}},
      {"servers: { main: { hosts: [pg1], max_connections: -1 } }",
       {"1:51: servers.main.max_connections: \"-1\" is not a whole number in decimal digits; allowed is 1 to 1000000"}},
      {"servers: { main: { hosts: [pg1], max_connections: \"5\" } }",
       {"1:51: servers.main.max_connections: expected a whole number, not text in quotes; write it without them"}},
      {"servers: { main: { hosts: [pg1], max_connections: 99999999999999999999 } }",
       {"1:51: servers.main.max_connections: the number \"99999999999999999999\" is too large; allowed is 1 to "
        "1000000"}},
      {"servers: { main: { hosts: [pg1], max_connections: [5] } }",
       {"1:51: servers.main.max_connections: expected a whole number, not a list"}},
      {"servers: { main: { hosts: [pg1], max_connections: } }",
       {"1:51: servers.main.max_connections: nothing is written here; write a whole number, or remove the key"}},
      {"servers: { main: { hosts: [pg1], tls: { mode: verify_full } } }",
       {"1:47: servers.main.tls.mode: \"verify_full\" is not one of disable, prefer, require, verify-ca or "
        "verify-full; did you mean \"verify-full\"?"}},
      {"servers: { main: { hosts: [pg1], tls: { certificate: a.crt } } }",
       {"1:34: servers.main.tls.key: missing; write the file with the certificate's private key"}},
      {"servers: { main: { hosts: [pg1], tls: { key: a.key } } }",
       {"1:34: servers.main.tls.certificate: missing; write the file with the key's certificate"}},
      {"servers: { main: { hosts: [pg1], tls: on } }",
       {"1:39: servers.main.tls: expected a mapping of keys and values, not \"on\""}},
      {"servers: { main: { hosts: [pg1], user: \"\" } }",
       {"1:40: servers.main.user: is empty; write something, or remove it"}},
      {"servers: { \"\": { hosts: [pg1] } , main: { hosts: [pg1] } }", {"1:12: servers.\"\": a name cannot be empty"}},
  });
}

TEST_CASE("mistakes: databases", "[errors]") {
  check({
      {"databases: { shared: { dbname: saas } }",
       {"1:14: databases.shared.server: missing; write the entry of `servers` it is on"}},
      {"databases: { shared: { server: mian } }",
       {"1:32: databases.shared.server: no such server: \"mian\"; did you mean \"main\"?"}},
      {"databases: { shared: { server: elsewhere } }",
       {"1:32: databases.shared.server: no such server: \"elsewhere\"; define it under servers, or write the name of "
        "one that is there"}},
      {"databases: { shared: { server: main, dbname: \"crm_{tennant}\" } }",
       {"1:46: databases.shared.dbname: \"crm_{tennant}\": unknown variable {tennant}; known here: {tenant}"}},
      {"databases: { shared: { server: main, dbname: \"{tenant}{tenant}\" } }",
       {"1:46: databases.shared.dbname: \"{tenant}{tenant}\": {tenant} may occur only once"}},
      {"databases: { shared: { server: main, dbname: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx "
       "} }",
       {"1:46: databases.shared.dbname: the name \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" "
        "has 64 bytes; PostgreSQL's names have at most 63"}},
      {"databases: { shared: { server: main, pool: session } }",
       {"1:44: databases.shared.pool: expected a mapping of keys and values, not \"session\""}},
      {"databases: { shared: { server: main, pool: { pin: refse, prepare: never } } }",
       {"1:51: databases.shared.pool.pin: \"refse\" is not one of allow or refuse; did you mean \"refuse\"?",
        "1:67: databases.shared.pool.prepare: \"never\" is not one of repeated, named or off"}},
      {"databases: { shared: { server: main, pool: { share: tenants } } }",
       {"1:53: databases.shared.pool.share: \"tenants\" is not one of all or tenant; did you mean \"tenant\"?"}},
      {"databases: { shared: { server: main, pool: { mode: statement, size: many } } }",
       {"1:52: databases.shared.pool.mode: \"statement\" is not one of session or transaction",
        "1:69: databases.shared.pool.size: \"many\" is not a whole number in decimal digits; allowed is 1 to 1000000"}},
      {"databases: main",
       {"1:12: databases: expected a mapping such as shared: { server: main, dbname: saas }, not \"main\""}},
  });
}

TEST_CASE("mistakes: tenants", "[errors]") {
  check({
      {"tenants:\n  'no good': {}",
       {"2:3: tenants.\"no good\": not a tenant's id; ids match [A-Za-z0-9_][A-Za-z0-9_.-]{0,62}, patterns have a *"}},
      {"tenants: { -dash: {}, \"\": {}, \".dot\": {}, \"*!\": {}, \"-*\": {} }",
       {"1:12: tenants.-dash: not a tenant's id; ids match [A-Za-z0-9_][A-Za-z0-9_.-]{0,62}, patterns have a *",
        "1:23: tenants.\"\": not a tenant's id; ids match [A-Za-z0-9_][A-Za-z0-9_.-]{0,62}, patterns have a *",
        "1:31: tenants..dot: not a tenant's id; ids match [A-Za-z0-9_][A-Za-z0-9_.-]{0,62}, patterns have a *",
        "1:43: tenants.\"*!\": not a tenant's id; ids match [A-Za-z0-9_][A-Za-z0-9_.-]{0,62}, patterns have a *",
        "1:53: tenants.-*: not a tenant's id; ids match [A-Za-z0-9_][A-Za-z0-9_.-]{0,62}, patterns have a *"}},
      {"tenants: { acme: { databse: acme } }", {"1:20: tenants.acme.databse: unknown key; did you mean \"database\"?"}},
      {"tenants: { acme: { database: shraed } }",
       {"1:30: tenants.acme.database: no such database: \"shraed\"; did you mean \"shared\"?"}},
      {"tenants: { acme: shared }", {"1:18: tenants.acme: expected a mapping of keys and values, not \"shared\""}},
      {"tenants: { acme: { schema: [a] } }", {"1:28: tenants.acme.schema: expected text, not a list"}},
      {"tenants: { acme: { schema: $user } }",
       {"1:28: tenants.acme.schema: \"$user\" could mean the schema of whoever logs in, so that tenants would share "
        "it; write the schema's own name"}},
      {"tenants: { acme: { search_path: [public, \"$USER\"] } }",
       {"1:42: tenants.acme.search_path.1: \"$USER\" could mean the schema of whoever logs in, so that tenants would "
        "share it; write the schema's own name"}},
      {"tenants: { acme: { schema: \"${tenant}\" } }",
       {"1:28: tenants.acme.schema: \"${tenant}\" could mean the schema of whoever logs in, so that tenants would "
        "share it; write the schema's own name"}},
      {"tenants: { acme: { search_path: public } }",
       {"1:33: tenants.acme.search_path: expected a list; write [public]"}},
      {"tenants: { acme: { search_path: \"public, other\" } }",
       {"1:33: tenants.acme.search_path: expected a list; write [public, other]"}},
      {"tenants: { acme: { search_path: [] } }",
       {"1:33: tenants.acme.search_path: an empty list; write at least one schema, or null for the server's own "
        "search_path"}},
      {"tenants: { acme: { schema: a, search_path: [b] } }",
       {"1:31: tenants.acme.search_path: schema and search_path exclude each other; write the whole search_path, or "
        "the schema alone"}},
      {"tenants: { acme: { role: \"{role}\" } }",
       {"1:26: tenants.acme.role: \"{role}\": unknown variable {role}; known here: {tenant}"}},
      {"tenants: { acme: { settings: { search_path: x, ROLE: y, session_authorization: z } } }",
       {"1:32: tenants.acme.settings.search_path: cannot be set here; write the key search_path or schema beside "
        "settings",
        "1:48: tenants.acme.settings.ROLE: cannot be set here; write the key role beside settings",
        "1:57: tenants.acme.settings.session_authorization: cannot be set here; write the role that statements run as "
        "under the key role"}},
      {"tenants: { acme: { settings: { user: x, database: y, \"work mem\": z, options: o } } }",
       {"1:32: tenants.acme.settings.user: \"user\" is a field of the startup packet, not a setting; write one such as "
        "work_mem or app.tenant",
        "1:41: tenants.acme.settings.database: \"database\" is a field of the startup packet, not a setting; write one "
        "such as work_mem or app.tenant",
        "1:54: tenants.acme.settings.\"work mem\": \"work mem\" is not the name of a setting; write one such as "
        "work_mem or app.tenant",
        "1:69: tenants.acme.settings.options: \"options\" is a field of the startup packet, not a setting; write one "
        "such as work_mem or app.tenant"}},
      {"tenants: { acme: { settings: { work_mem: 4MB, WORK_MEM: 5MB } } }",
       {"1:47: tenants.acme.settings.WORK_MEM: names the same setting as a key above; keep one of them"}},
      {"tenants: { acme: { settings: { work_mem: , app.list: [1] } } }",
       {"1:42: tenants.acme.settings.work_mem: nothing is written here; write \"\" for an empty value, or remove the "
        "key",
        "1:54: tenants.acme.settings.app.list: expected text, not a list"}},
      {"tenants: { acme: { settings: [a] } }",
       {"1:30: tenants.acme.settings: expected a mapping such as { app.tenant: \"{tenant}\" }, not a list"}},
      {"tenants: { acme: { users: app } }", {"1:27: tenants.acme.users: expected a list; write [app]"}},
      {"tenants: { acme: { users: [] } }",
       {"1:27: tenants.acme.users: an empty list; write at least one name, or null for everybody"}},
      {"tenants: { acme: { users: [app, app, { a: b }, null] } }",
       {"1:33: tenants.acme.users.1: \"app\" is there already; remove it",
        "1:38: tenants.acme.users.2: expected text, not a mapping",
        "1:48: tenants.acme.users.3: nothing is written here; write text, or remove the entry"}},
      {"tenants: { acme: { guard: maybe, pool: { mode: session } } }",
       {"1:27: tenants.acme.guard: \"maybe\" is not one of on, off, true or false",
        "1:40: tenants.acme.pool: expected one of session or transaction, not a mapping"}},
      {"tenants: { acme: { guard: yes, pool: statement } }",
       {"1:27: tenants.acme.guard: \"yes\" is not one of on, off, true or false",
        "1:38: tenants.acme.pool: \"statement\" is not one of session or transaction"}},
      {"tenants: { acme: { state: sleeping } }",
       {"1:27: tenants.acme.state: \"sleeping\" is not one of active, read_only, held or suspended"}},
      {"tenants: { acme: { state: suspend } }",
       {"1:27: tenants.acme.state: \"suspend\" is not one of active, read_only, held or suspended; did you mean "
        "\"suspended\"?"}},
      {"tenants: { acme: { state: held, message: \"call\" } }",
       {"1:33: tenants.acme.message: is only told while the state is suspended; remove it, or write state: suspended"}},
      {"tenants: { acme: { limits: { clients: 0, connections: 2, min_connections: 3, weight: 0 } } }",
       {"1:39: tenants.acme.limits.clients: 0 is out of range; write a number from 1 to 1000000000",
        "1:75: tenants.acme.limits.min_connections: is more than connections; write at most 2",
        "1:86: tenants.acme.limits.weight: 0 is out of range; write a number from 1 to 1000000000"}},
      {"tenants: { acme: { limits: { query_time: 5, wait: 1d, idle_in_transaction: 1.5s, transaction_time: 1m30s } } }",
       {"1:42: tenants.acme.limits.query_time: the duration \"5\" needs a unit; write 5s, or 5ms, 5m, 5h",
        "1:51: tenants.acme.limits.wait: \"1d\" is not a duration; write one whole number and one unit, such as 250ms, "
        "5s, 2m or 1h",
        "1:76: tenants.acme.limits.idle_in_transaction: \"1.5s\" is not a duration; write one whole number and one "
        "unit, such as 250ms, 5s, 2m or 1h",
        "1:100: tenants.acme.limits.transaction_time: \"1m30s\" is not a duration; write one whole number and one "
        "unit, such as 250ms, 5s, 2m or 1h"}},
      {"tenants: { acme: { limits: { wait: 9000h, query_time: -1, bytes_per_second: 64KB } } }",
       {"1:36: tenants.acme.limits.wait: the duration \"9000h\" is too long; 8760h (a year) is the most",
        "1:55: tenants.acme.limits.query_time: \"-1\" is not a duration; write one whole number and one unit, such as "
        "250ms, 5s, 2m or 1h",
        "1:77: tenants.acme.limits.bytes_per_second: \"64KB\" is not a size; write one whole number and KiB, MiB or "
        "GiB, or bytes without a unit"}},
      {"tenants: { acme: { limits: { wait: [], bytes_per_second: 0, query_time: 05s } } }",
       {"1:36: tenants.acme.limits.wait: expected a duration such as 250ms, 5s, 2m or 1h, not a list",
        "1:58: tenants.acme.limits.bytes_per_second: 0 is out of range; write a size such as 64KiB, or remove the key "
        "for no limit",
        "1:73: tenants.acme.limits.query_time: \"05\" could be read as octal; write 5 without leading zeros"}},
      {"databases: { shared: { server: main, limits: { clients: 0, connections: 5, wait: 1s, querytime: 1s } } }",
       {"1:57: databases.shared.limits.clients: 0 is out of range; write a number from 1 to 1000000000",
        "1:60: databases.shared.limits.connections: is not known here; the server connections of a database are its "
        "pool.size",
        "1:76: databases.shared.limits.wait: is a tenant's own limit; write it under tenants.*.limits, or in defaults",
        "1:86: databases.shared.limits.querytime: unknown key; did you mean \"query_time\"?"}},
      {"roles: { reporting: { limits: { connections: 5, min_connections: 1, weight: 2, log_min_duration_statement: 0 } "
       "} }",
       {"1:33: roles.reporting.limits.connections: is not counted by role; write tenants.*.limits.connections, or "
        "pool.size of a database",
        "1:49: roles.reporting.limits.min_connections: is a tenant's own limit; write it under tenants.*.limits, or in "
        "defaults",
        "1:69: roles.reporting.limits.weight: is a tenant's own limit; write it under tenants.*.limits, or in defaults",
        "1:80: roles.reporting.limits.log_min_duration_statement: is a tenant's own limit; write it under "
        "tenants.*.limits, or in defaults"}},
      {"roles: { reporting: { limit: {} }, app: 5, \"\": {} }",
       {"1:23: roles.reporting.limit: unknown key; did you mean \"limits\"?",
        "1:41: roles.app: expected a mapping of keys and values, not \"5\"",
        "1:44: roles.\"\": a name cannot be empty"}},
      {"roles: [reporting]",
       {"1:8: roles: expected a mapping such as reporting: { limits: { clients: 20 } }, not a list"}},
      {"tenants: { acme: { limits: 5 } }",
       {"1:28: tenants.acme.limits: expected a mapping of keys and values, not \"5\""}},
      {"tenants: { trial-0000000000000000000000000000000000000000000000000000000: { schema: \"tenant_{tenant}\", role: "
       "\"{tenant}\" } }",
       {"1:12: tenants.trial-0000000000000000000000000000000000000000000000000000000: its schema would be "
        "\"tenant_trial-0000000000000000000000000000000000000000000000000000000\", 68 bytes; PostgreSQL's names have "
        "at most 63"}},
      {"tenants: { acme: {}, \"t-*\": {} }\ndefaults: {}",
       {"1:12: tenants.acme: has no database; write one here, or defaults.database for all",
        "1:22: tenants.t-*: has no database; write one here, or defaults.database for all"}},
      {"tenants: { acme: {}, \"t-*\": {} }\ndefaults: { databse: shared }",
       {"2:13: defaults.databse: unknown key; did you mean \"database\"?"}},
      {"unknown_tenants: default\ndefaults: { schema: a }",
       {"1:18: unknown_tenants: needs defaults.database; write it, or reject",
        "5:12: tenants.acme: has no database; write one here, or defaults.database for all"}},
      {"unknown_tenants: allow", {"1:18: unknown_tenants: \"allow\" is not one of reject or default"}},
      {"no_tenant: { action: wait }",
       {"1:22: no_tenant.action: nothing could end the wait; write a variable or search_path hint, or another action"}},
      {"no_tenant: { action: route }",
       {"1:1: no_tenant.route: missing; write where these sessions go, such as route: { database: shared }"}},
      {"no_tenant: { action: route, route: {} }",
       {"1:29: no_tenant.route.database: missing; write the entry of `databases` where these sessions go"}},
      {"no_tenant: { action: route, route: { database: shared, schema: \"t_{tenant}\", settings: { a.b: \"{tenant}\" } "
       "} }",
       {"1:64: no_tenant.route.schema: \"t_{tenant}\" speaks of {tenant}, and these sessions name none; write a name "
        "without it",
        "1:95: no_tenant.route.settings.a.b: \"{tenant}\" speaks of {tenant}, and these sessions name none; write a "
        "name without it"}},
      {"no_tenant: { action: route, route: { database: own } }\ndatabases: { shared: { server: main }, own: { server: "
       "main, dbname: \"c_{tenant}\" } }",
       {"1:48: no_tenant.route.database: the dbname of \"own\" speaks of {tenant}, and these sessions name none; write "
        "another database"}},
      {"no_tenant: { route: { database: shared } }",
       {"1:14: no_tenant.route: is only taken with action: route; write that, or remove the route"}},
      {"no_tenant: { action: reroute }",
       {"1:22: no_tenant.action: \"reroute\" is not one of reject, wait or route; did you mean \"route\"?"}},
      {"no_tenant: reject", {"1:12: no_tenant: expected a mapping of keys and values, not \"reject\""}},
  });
}

TEST_CASE("mistakes: one mistake is one error", "[errors]") {
  check({
      {"databases: { shared: { server: mian } }\ndefaults: { database: shared }\ntenants: { a: {}, b: { database: "
       "shared }, \"c-*\": {} }",
       {"1:32: databases.shared.server: no such server: \"mian\"; did you mean \"main\"?"}},
      {"servers: 5\ntenants: { a: {} }",
       {"1:10: servers: expected a mapping such as main: { hosts: [pg1.internal:5432] }, not \"5\""}},
      {"databases: 5\ntenants: { a: {}, b: { database: acme } }",
       {"1:12: databases: expected a mapping such as shared: { server: main, dbname: saas }, not \"5\""}},
      {"databses: { shared: { server: main } }\ndatabases: {}\ntenants: { a: { database: shared } }",
       {"1:1: databses: unknown key; did you mean \"databases\"?"}},
      {"defaults: { database: nowhere }\ntenants: { a: {}, b: {} }\nunknown_tenants: default",
       {"1:23: defaults.database: no such database: \"nowhere\"; define it under databases, or write the name of one "
        "that is there"}},
      {"defaults: { database: [shared] }\ntenants: { a: {}, b: {} }",
       {"1:23: defaults.database: expected text, not a list"}},
      {"hints: [{ vraiable: app.tenant }]\nno_tenant: { action: wait }",
       {"1:11: hints.0.vraiable: unknown key; did you mean \"variable\"?"}},
  });
}

}  // namespace

}  // namespace routes_errors_test
