#include "proxy/explain_route.hpp"

#include <libpq-fe.h>

#include <memory>

#include "protocol/startup_options.hpp"
#include "proxy/session/placement.hpp"

namespace proxy {
namespace {

bool is_url(const std::string& text) { return text.starts_with("postgres://") || text.starts_with("postgresql://"); }

// What a libpq client would send for this URL. Read by libpq itself, so that it means here what it means there.
std::expected<pgwire::startup_message, std::string> startup_of(const std::string& url) {
  char* raw_error = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(PQconninfoParse(url.c_str(), &raw_error),
                                                                             &PQconninfoFree);
  const std::unique_ptr<char, decltype(&PQfreemem)> error(raw_error, &PQfreemem);
  if (!options) return std::unexpected(error ? std::string(error.get()) : "out of memory");

  pgwire::startup_message startup;
  const auto take = [&](std::string_view keyword, std::string_view name) {
    for (const PQconninfoOption* one = options.get(); one->keyword != nullptr; ++one) {
      if (keyword == one->keyword && one->val != nullptr) startup.parameters.emplace_back(name, one->val);
    }
  };
  take("user", "user");
  take("dbname", "database");
  take("options", "options");
  take("application_name", "application_name");
  return startup;
}

}  // namespace

std::expected<routing::explanation, std::string> explain_route(const routing::route_table& table,
                                                               const std::string& subject,
                                                               const routing::overrides& over) {
  if (!is_url(subject)) {
    const auto tenant = routing::tenant_id::parse(subject);
    if (tenant) return routing::explain(table, *tenant, over);
    return std::unexpected("\"" + subject +
                           "\" is neither a postgres:// URL nor a tenant id ([A-Za-z0-9_][A-Za-z0-9_.-]{0,62})");
  }
  auto startup = startup_of(subject);
  if (!startup) {
    std::string why = startup.error();
    while (why.ends_with('\n')) why.pop_back();
    return std::unexpected("not a URL that libpq understands: " + why);
  }
  const auto request = session_request::read(std::move(*startup));
  if (!request) return std::unexpected(std::string(pgwire::describe(request.error()).text));
  return routing::explain(table, request->facts(), over);
}

}  // namespace proxy
