// Every mistake in the daemon's own file: where it is found, and in which words.
#include <catch2/catch.hpp>

#include "tests/conf/tools.hpp"

namespace daemon_errors_test {

namespace {

struct mistake {
  std::string text;                 // completed by what else the file needs
  std::vector<std::string> errors;  // after the file's name
};

void check(const std::vector<mistake>& mistakes) {
  for (const mistake& one : mistakes) {
    INFO(one.text);
    std::vector<std::string> expected;
    expected.reserve(one.errors.size());
    for (const std::string& error : one.errors) expected.push_back("pglodge.yaml:" + error);
    CHECK(tests::read_daemon(tests::with_door(one.text)).errors == expected);
  }
}

TEST_CASE("mistakes: pglodge.yaml", "[errors]") {
  check({
      {"listen: []\nroutes: r.yaml",
       {"1:9: listen: is empty; write at least one entry, such as { address: 127.0.0.1:6432 }"}},
      {"listen: { address: a }\nroutes: r.yaml",
       {"1:9: listen: expected a list, not a mapping; write each entry after \"- \""}},
      {"listen: 127.0.0.1:6432\nroutes: r.yaml", {"1:9: listen: expected a list; write [{ address: 127.0.0.1:6432 }]"}},
      {"listen: [127.0.0.1:6432]\nroutes: r.yaml",
       {"1:10: listen.0: expected a mapping of keys and values, not \"127.0.0.1:6432\""}},
      {"listen: [{}]\nroutes: r.yaml",
       {"1:10: listen.0: needs an address or unix; write address: 127.0.0.1:6432, or unix: /run/pglodge"}},
      {"listen: [{ address: a, unix: /run/pglodge }]\nroutes: r.yaml",
       {"1:24: listen.0.unix: an entry is either an address or a Unix socket; give each its own entry"}},
      {"listen: [{ address: \":6432\" }, { address: \"::1\" }, { address: 6432 }, { address: \"a:99999\" }, { address: "
       "/run/pglodge }]\nroutes: r.yaml",
       {"1:21: listen.0.address: \":6432\" names no host; write *:6432 for every address",
        "1:43: listen.1.address: \"::1\" is not an address; write an IPv6 address in brackets, [::1]:5432",
        "1:63: listen.2.address: \"6432\" names a port and no host; write host:port",
        "1:82: listen.3.address: \"99999\" is not a port; write a number from 1 to 65535",
        "1:106: listen.4.address: a socket's folder is no address; write unix: /run/pglodge"}},
      {"listen: [{ address: a, port: 6432 }]\nroutes: r.yaml",
       {"1:24: listen.0.port: belongs to unix; write an address's port into it, as host:port"}},
      {"listen: [{ unix: /run, port: 0, tls: { mode: allow } }]\nroutes: r.yaml",
       {"1:30: listen.0.port: 0 is out of range; write a number from 1 to 65535",
        "1:33: listen.0.tls: has no meaning for a Unix socket; remove it"}},
      {"listen: [{ address: a }, { address: \"a:6432\" }]\nroutes: r.yaml",
       {"1:26: listen.1: listens where an entry above does; remove one of them"}},
      {"listen: [{ address: \"127.0.0.1:5\" }, { address: \"*:5\" }]\nroutes: r.yaml",
       {"1:38: listen.1: listens where an entry above does; remove one of them"}},
      {"listen: [{ address: \"[::]:5\" }, { address: \"[0::1]:5\" }]\nroutes: r.yaml",
       {"1:33: listen.1: listens where an entry above does; remove one of them"}},
      {"listen: [{ address: 127.0.0.1:5 }]\nroutes: r.yaml\nadmin: { http: \"localhost:5\" }",
       {"3:16: admin.http: \"localhost:5\" is where an entry of listen is; write another port"}},
      {"admin: { http: 0.0.0.0:5 }\nlisten: [{ unix: /run }, { address: 127.0.0.1:5 }]\nroutes: r.yaml",
       {"1:16: admin.http: \"0.0.0.0:5\" is where an entry of listen is; write another port"}},
      {"listen: [{ address: a, tls: { mode: require } }]\nroutes: r.yaml",
       {"1:24: listen.0.tls.certificate: missing; write the server certificate's file",
        "1:24: listen.0.tls.key: missing; write the file with the certificate's private key"}},
      {"listen: [{ address: a, tls: { mode: verify, certificate: a, key: b } }]\nroutes: r.yaml",
       {"1:24: listen.0.tls.client_ca: missing; write the file of the authorities that client certificates must come "
        "from"}},
      {"listen: [{ address: a, tls: { key: b } }]\nroutes: r.yaml",
       {"1:24: listen.0.tls.certificate: missing; write the server certificate's file"}},
      {"listen: [{ address: a, tls: { mode: On } }]\nroutes: r.yaml",
       {"1:37: listen.0.tls.mode: \"On\" is not one of off, allow, require or verify"}},
      {"wrokers: 2", {"1:1: wrokers: unknown key; did you mean \"workers\"?"}},
      {"workers: many", {"1:10: workers: \"many\" is neither auto nor a number; write auto, or 1 to 1024"}},
      {"workers: 0", {"1:10: workers: 0 is out of range; write a number from 1 to 1024"}},
      {"workers: 1025", {"1:10: workers: 1025 is out of range; write a number from 1 to 1024"}},
      {"workers: 08",
       {"1:10: workers: \"08\" could be read as octal; write 8 without leading zeros; allowed is 1 to 1024"}},
      {"routes: \"\"", {"1:9: routes: is empty; write something, or remove it"}},
      {"routes: [r.yaml]", {"1:9: routes: expected text, not a list"}},
      {"auth: { method: scram-sha-256 }",
       {"1:17: auth.method: scram-sha-256 needs the roles' secrets; write auth.users or auth.query"}},
      {"auth: { method: scram }",
       {"1:17: auth.method: \"scram\" is not one of trust, password, md5, scram-sha-256, cert or passthrough"}},
      {"auth: { method: ldap }",
       {"1:17: auth.method: \"ldap\" is not one of trust, password, md5, scram-sha-256, cert or passthrough"}},
      {"auth: { query: { database: shared } }",
       {"1:9: auth.query.user: missing; write the role that asks",
        "1:9: auth.query.sql: missing; write the statement that gives name and secret of the role $1"}},
      {"auth: { rules: [{ tls: maybe }] }",
       {"1:17: auth.rules.0.method: missing; write what those whom the rule fits must do, such as method: "
        "scram-sha-256",
        "1:24: auth.rules.0.tls: \"maybe\" is not one of on, off, true or false"}},
      {"auth: { rules: [{ address: 10.0.0.1/8, method: reject }, { address: localhost, method: trust }] }",
       {"1:28: auth.rules.0.address: \"10.0.0.1/8\" has bits behind its prefix; write 10.0.0.0/8 for the network, or "
        "the address alone",
        "1:69: auth.rules.1.address: \"localhost\" is no IP address or network; write 192.0.2.7, 10.0.0.0/8, "
        "2001:db8::/32 or unix"}},
      {"auth: { rules: [{ method: md5 }, { method: cert }] }",
       {"1:27: auth.rules.0.method: md5 needs the roles' secrets; write auth.users or auth.query"}},
      {"auth: { rules: [{ database: all, role: all, method: reject }, { role: \"*\", method: reject }] }",
       {"1:29: auth.rules.0.database: \"all\" is a word of pg_hba.conf, not known here; leave the key out for any, or "
        "put "
        "it in quotes if it is a name",
        "1:40: auth.rules.0.role: \"all\" is a word of pg_hba.conf, not known here; leave the key out for any, or put "
        "it "
        "in quotes if it is a name",
        "1:71: auth.rules.1.role: \"*\" is no name; leave the key out for any"}},
      {"auth: { rules: [{ database: sameuser, method: reject }, { role: +staff, method: reject }] }",
       {"1:29: auth.rules.0.database: \"sameuser\" is a word of pg_hba.conf, not known here; leave the key out for "
        "any, "
        "or put it in quotes if it is a name",
        "1:65: auth.rules.1.role: \"+staff\" stands for a group in pg_hba.conf, which is not known here; write a rule "
        "for each role, or leave the key out for any"}},
      {"auth: { rules: [{ database: \"all\", role: \"+staff\", method: reject }, { role: replication, method: reject "
       "}] }",
       {}},
      {"auth: { method: reject }",
       {"1:17: auth.method: \"reject\" is not one of trust, password, md5, scram-sha-256, cert or passthrough"}},
      {"auth: { rules: { method: trust } }",
       {"1:16: auth.rules: expected a list, not a mapping; write each entry after \"- \""}},
      {"admin: { users: postgres, http: 127.0.0.1 }",
       {"1:17: admin.users: expected a list; write [postgres]",
        "1:33: admin.http: \"127.0.0.1\" names no port; write host:port, such as 127.0.0.1:9632"}},
      {"resources: { clients: 0, memory: 1MiB }",
       {"1:23: resources.clients: 0 is out of range; write a number from 1 to 10000000",
        "1:34: resources.memory: a lodge takes more than that; write 64MiB or more"}},
      {"peers: [lodge2]", {"1:9: peers.0: \"lodge2\" names no port; write host:port, such as lodge2.internal:6432"}},
      {"admin: { metrics_tenants: 501 }",
       {"1:27: admin.metrics_tenants: 501 is out of range; write a number from 0 to 500"}},
      {"admin: { http: \"127.0.0.1:x\" }", {"1:16: admin.http: \"x\" is not a port; write a number from 1 to 65535"}},
      {"log: { level: verbose, format: xml }",
       {"1:15: log.level: \"verbose\" is not one of trace, debug, info, warn or error",
        "1:32: log.format: \"xml\" is not one of text or json"}},
      {"log: { level: warning }", {"1:15: log.level: \"warning\" is not one of trace, debug, info, warn or error"}},
      {"usage: { interval: 60s }",
       {"1:1: usage.ledger: missing; write the folder for its files, such as ledger: usage"}},
      {"usage: { ledger: u, interval: 0, keep_days: -1 }",
       {"1:31: usage.interval: a duration of 0 makes no sense here; write one such as 5s",
        "1:45: usage.keep_days: \"-1\" is not a whole number in decimal digits; allowed is 0 to 36500"}},
      {"usage: { ledger: u, keep: 400d }",
       {"1:21: usage.keep: unknown key; known here: ledger, interval or keep_days"}},
      {"timeouts: { startup: 0, connect: 0s, idle: 0, server_idle: 0, server_lifetime: 0, query_wait: 0, drain: 0 }",
       {"1:22: timeouts.startup: a duration of 0 makes no sense here; write one such as 5s",
        "1:34: timeouts.connect: a duration of 0 makes no sense here; write one such as 5s",
        "1:95: timeouts.query_wait: a duration of 0 makes no sense here; write one such as 5s",
        "1:105: timeouts.drain: a duration of 0 makes no sense here; write one such as 5s"}},
      {"timeouts: { startup: \"-1\" }",
       {"1:22: timeouts.startup: \"-1\" is not a duration; write one whole number and one unit, such as 250ms, 5s, 2m "
        "or 1h"}},
      {"timeouts: { startup: 5 }",
       {"1:22: timeouts.startup: the duration \"5\" needs a unit; write 5s, or 5ms, 5m, 5h"}},
      {"timeouts: { strtup: 5s }", {"1:13: timeouts.strtup: unknown key; did you mean \"startup\"?"}},
      {"timeouts: 5s", {"1:11: timeouts: expected a mapping of keys and values, not \"5s\""}},
      {"listen: [{ address: a }]\n---\nroutes: b",
       {"2:1: a second document begins here (---); a file holds one, so remove the line"}},
  });
}

}  // namespace

}  // namespace daemon_errors_test
