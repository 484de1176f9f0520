#include "conf/auth_reader.hpp"

#include <algorithm>

#include "conf/names.hpp"
#include "conf/words.hpp"

namespace conf {
namespace {

std::optional<auth_method> read_method(const yaml_value& value) {
  using enum auth_method;
  return value.choice<auth_method>({{"trust", trust},
                                    {"password", password},
                                    {"md5", md5},
                                    {"scram-sha-256", scram_sha_256},
                                    {"cert", cert},
                                    {"passthrough", passthrough}});
}

// Rules know one word more: whom they fit may be refused.
std::optional<auth_method> read_rule_method(const yaml_value& value) {
  return read_text(value) == "reject" ? auth_method::reject : read_method(value);
}

// `has_secrets`: whether there is anywhere to take them from.
void check_method(const yaml_value& value, auth_method method, bool has_secrets) {
  using enum auth_method;
  const bool needs_secrets = method == password || method == md5 || method == scram_sha_256;
  if (needs_secrets && !has_secrets) {
    value.error(std::string(to_string(method)) + " needs the roles' secrets; write auth.users or auth.query");
  }
}

void read_origin(const yaml_value& address, auth_rule& rule) {
  const auto text = address.text();
  if (!text) return;
  if (*text == "unix") {
    rule.from = auth_rule::origin::unix_socket;
    return;
  }
  const auto net = parse_network(*text);
  if (!net) return address.error(net.error());
  rule.from = auth_rule::origin::network;
  rule.network = *net;
}

// Taken for a name, a word of pg_hba.conf would make a rule that fits nobody, and be it one that refuses.
std::string read_access_name(const maybe_value& value, access_column column) {
  auto name = read_text(value);
  if (!name) return {};
  if (*name == "*") {
    value->error("\"*\" is no name; leave the key out for any");
  } else if (!value->is_quoted() && is_access_keyword(*name, column)) {
    value->error(in_quotes(*name) +
                 " is a word of pg_hba.conf, not known here; leave the key out for any, or put it in quotes if it is a "
                 "name");
  } else if (!value->is_quoted() && name->starts_with('+')) {
    value->error(
        in_quotes(*name) +
        " stands for a group in pg_hba.conf, which is not known here; write a rule for each role, or leave the "
        "key out for any");
  }
  return std::move(*name);
}

auth_rule read_auth_rule(const yaml_value& value, bool has_secrets) {
  auth_rule rule;
  if (!value.is_mapping()) return rule;
  if (const auto tls = value.find("tls")) rule.tls = tls->on_off();
  if (const auto address = value.find("address")) read_origin(*address, rule);
  rule.database = read_access_name(value.find("database"), access_column::database);
  rule.role = read_access_name(value.find("role"), access_column::role);
  rule.tenant = read_text(value.find("tenant")).value_or("");
  if (const auto method = value.find("method")) {
    rule.method = read_rule_method(*method).value_or(rule.method);
    check_method(*method, rule.method, has_secrets);
  } else {
    value.error_missing("method", "write what those whom the rule fits must do, such as method: scram-sha-256");
  }
  return rule;
}

auth_query read_auth_query(const yaml_value& value) {
  auth_query query;
  if (!value.is_mapping()) return query;
  const auto read = [&](std::string_view key, std::string_view what, std::string& into) {
    if (!value.find(key)) return value.error_missing(key, what);
    into = read_text(value.find(key)).value_or("");
  };
  read("database", "write the entry of `databases` that is asked", query.database);
  read("user", "write the role that asks", query.user);
  read("sql", "write the statement that gives name and secret of the role $1", query.sql);
  if (!query.sql.empty() && !query.sql.contains("$1")) {
    value.find("sql")->warning("does not ask for the role, $1; a statement that gives others' secrets lets nobody in");
  }
  return query;
}

}  // namespace

void read_auth(const yaml_value& auth, auth_settings& into) {
  if (!auth.is_mapping()) return;
  read_path(auth.find("users"), into.users);
  if (const auto query = auth.find("query")) into.query = read_auth_query(*query);
  const bool has_secrets = auth.find("users") || auth.find("query");
  if (const auto rules = auth.find("rules"); rules && rules->is_list("[{ method: passthrough }]")) {
    rules->for_each([&](const yaml_value& item) { into.rules.push_back(read_auth_rule(item, has_secrets)); });
  }
  const auto method = auth.find("method");
  if (!method) {
    into.method = has_secrets ? auth_method::scram_sha_256 : auth_method::passthrough;
    return;
  }
  into.method = read_method(*method).value_or(into.method);
  check_method(*method, into.method, has_secrets);
}

void look_for_client_ca(const yaml_value& auth, const daemon_settings& settings) {
  const auto asks = [](const listen_settings& door) { return !door.tls_client_ca.empty(); };
  const auto is_cert = [](const auth_rule& rule) { return rule.method == auth_method::cert; };
  if (std::ranges::any_of(settings.listen, asks)) return;
  if (settings.auth.method != auth_method::cert && std::ranges::none_of(settings.auth.rules, is_cert)) return;
  auth.warning("the method cert lets nobody in: no door has a tls.client_ca, by which it asks for certificates");
}

}  // namespace conf
