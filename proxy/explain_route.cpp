#include "proxy/explain_route.hpp"

#include <libpq-fe.h>

#include <boost/asio/ip/address.hpp>
#include <memory>

#include "protocol/startup_options.hpp"
#include "proxy/auth/auth_rules.hpp"
#include "proxy/console/privilege.hpp"
#include "proxy/io.hpp"
#include "proxy/session/placement.hpp"

namespace proxy {
namespace {

bool is_url(const std::string& text) { return text.starts_with("postgres://") || text.starts_with("postgresql://"); }

struct url_meaning {
  pgwire::startup_message startup;
  std::string server_name;  // which TLS would tell; empty: none
};

// What a libpq client would send for this URL. Read by libpq itself, so that it means here what it means there.
std::expected<url_meaning, std::string> meaning_of(const std::string& url) {
  char* raw_error = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconninfoParse(url.c_str(), &raw_error),
                                                                             &PQconninfoFree);
  const std::unique_ptr<char, decltype(&PQfreemem)> error(raw_error, &PQfreemem);
  if (!options) return std::unexpected(error ? std::string(error.get()) : "out of memory");

  url_meaning meant;
  const auto value_of = [&](std::string_view keyword) -> const char* {
    for (const PQconninfoOption* one = options.get(); one->keyword != nullptr; ++one) {
      if (keyword == one->keyword) return one->val;
    }
    return nullptr;
  };
  const auto take = [&](std::string_view keyword, std::string_view name) {
    if (const char* value = value_of(keyword)) meant.startup.parameters.emplace_back(name, value);
  };
  take("user", "user");
  take("dbname", "database");
  take("options", "options");
  take("application_name", "application_name");
  // An address or a socket's folder is no name (RFC 6066, 3).
  const char* host = value_of("host");
  error_code not_an_address;
  if (host != nullptr && *host != '/') asio::ip::make_address(host, not_an_address);
  if (not_an_address) meant.server_name = host;
  return meant;
}

// Which method a rule would demand there is not known without the client's address; only that none has to is.
routing::explanation explain_console(const conf::daemon_settings& settings, const std::string& user) {
  using console::privilege;
  routing::explanation made;
  made.lines = {{"console", "the virtual database pglodge, of no tenant and at no server"}, {"user", user}};
  const auto may = console::privilege_of(settings.admin, user);
  const bool only_passthrough = settings.auth.method == conf::auth_method::passthrough && settings.auth.rules.empty();
  if (may && !only_passthrough) {
    made.admitted = true;
    made.lines.emplace_back("admitted", *may == privilege::everything
                                            ? "yes, to give every command: admin.users names it"
                                            : "yes, to look only: admin.stats_users names it");
    return made;
  }
  const auto why = only_passthrough ? console::nobody_to_ask() : console::no_business(user);
  made.lines.emplace_back("refused", why.code + " " + why.message);
  made.lines.emplace_back("hint", why.hint);
  return made;
}

}  // namespace

std::expected<routing::explanation, std::string> explain_route(const conf::daemon_settings& settings,
                                                               const routing::route_table& table,
                                                               const std::string& subject,
                                                               const routing::overrides& over) {
  const routing::who_checks checks = who_checks(settings.auth);
  if (!is_url(subject)) {
    const auto tenant = routing::tenant_id::parse(subject);
    if (tenant) return routing::explain(table, *tenant, over, checks);
    return std::unexpected("\"" + subject +
                           "\" is neither a postgres:// URL nor a tenant id ([A-Za-z0-9_][A-Za-z0-9_.-]{0,62})");
  }
  auto meant = meaning_of(subject);
  if (!meant) {
    std::string why = meant.error();
    while (why.ends_with('\n')) why.pop_back();
    return std::unexpected("not a URL that libpq understands: " + why);
  }
  const auto request = session_request::read(std::move(meant->startup));
  if (!request) return std::unexpected(std::string(pgwire::describe(request.error()).text));
  const auto* database = request->startup.find("database");
  if (database != nullptr && *database == console::database_name) {
    return explain_console(settings, *request->startup.find("user"));
  }
  routing::session_facts facts = request->facts();
  facts.server_name = std::move(meant->server_name);
  return routing::explain(table, facts, over, checks);
}

}  // namespace proxy
