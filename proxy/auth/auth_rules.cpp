#include "proxy/auth/auth_rules.hpp"

#include <algorithm>

#include "routing/pattern.hpp"

namespace proxy {
namespace {

bool fits_exactly(std::string_view wanted, std::string_view there) { return wanted.empty() || wanted == there; }

bool fits_address(const conf::auth_rule& rule, const std::optional<conf::ip_address>& peer) {
  switch (rule.from) {
    case conf::auth_rule::origin::anywhere: return true;
    case conf::auth_rule::origin::unix_socket: return !peer;
    case conf::auth_rule::origin::network: return peer && conf::contains(rule.network, *peer);
  }
  return false;
}

bool fits_tenant(std::string_view pattern, std::string_view tenant) {
  return pattern.empty() || (!tenant.empty() && routing::matches_pattern(pattern, tenant));
}

}  // namespace

bool fits(const conf::auth_rule& rule, const auth_facts& facts) {
  return (!rule.tls || *rule.tls == facts.tls) && fits_address(rule, facts.peer) &&
         fits_exactly(rule.database, facts.database) && fits_exactly(rule.role, facts.role) &&
         fits_tenant(rule.tenant, facts.tenant);
}

auth_decision method_for(const conf::auth_settings& settings, const auth_facts& facts) {
  for (std::size_t i = 0; i < settings.rules.size(); ++i) {
    if (fits(settings.rules[i], facts)) return {settings.rules[i].method, i};
  }
  return {settings.method, std::nullopt};
}

bool is_enough(conf::auth_method passed, conf::auth_method wanted) {
  using enum conf::auth_method;
  switch (wanted) {
    case trust: return true;
    case password: return passed == password || passed == md5 || passed == scram_sha_256;
    case md5: return passed == md5 || passed == scram_sha_256;
    case scram_sha_256: return passed == scram_sha_256;
    case cert: return passed == cert;
    case passthrough:
    case reject: break;
  }
  return false;
}

routing::who_checks who_checks(const conf::auth_settings& settings) {
  using routing::who_checks;
  const auto by_server = [](const conf::auth_rule& rule) { return rule.method == conf::auth_method::passthrough; };
  if (settings.method != conf::auth_method::passthrough) {
    return std::ranges::any_of(settings.rules, by_server) ? who_checks::either : who_checks::lodge;
  }
  return std::ranges::all_of(settings.rules, by_server) ? who_checks::server : who_checks::either;
}

std::string to_string(const auth_decision& decision) {
  return decision.rule ? "auth.rules[" + std::to_string(*decision.rule) + "]" : "auth.method";
}

}  // namespace proxy
