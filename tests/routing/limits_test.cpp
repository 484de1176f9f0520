#include "routing/limits.hpp"

#include <chrono>

#include "tests/routing/samples.hpp"

namespace limits_test {

using namespace routing;
using namespace samples;
using namespace std::chrono_literals;

namespace {

shared_limits_ptr of(sharer kind, std::string name, const limits& what) {
  return std::make_shared<const shared_limits>(shared_limits{kind, std::move(name), what});
}

std::vector<std::string> owners(const route& where) {
  std::vector<std::string> names;
  for (const auto& one : where.shared) names.push_back(limit_owner(*one).path("clients"));
  return names;
}

}  // namespace

TEST_CASE("limits: the shortest time holds, whoever has it, and for ever lifts nobody's") {
  limits own;
  const shared_limits_list shared{of(sharer::role, "reporting", {.query_time = 5s, .idle_in_transaction = 0ms}),
                                  of(sharer::database, "shared", {.query_time = 2s, .idle_in_transaction = 3s})};
  const limits_in_force all(own, shared);
  const auto longest_query = all.shortest(&limits::query_time);
  CHECK(longest_query.is == 2s);
  CHECK(longest_query.whose.path("query_time") == "databases.shared.limits.query_time");
  CHECK(longest_query.whose.kind() == "database");
  CHECK(all.shortest(&limits::idle_in_transaction).is == 3s);
  CHECK(all.shortest(&limits::transaction_time).is == 0s);
  own.query_time = 0ms;
  own.transaction_time = 1s;
  CHECK(all.shortest(&limits::query_time).is == 2s);
  CHECK(all.shortest(&limits::transaction_time).whose.path("transaction_time") == "limits.transaction_time");
  own.query_time = 2s;  // as long: the tenant's is named
  CHECK(all.shortest(&limits::query_time).whose.kind() == "tenant");
}

TEST_CASE("limits: a route has those of its session's role and of its database") {
  table t;
  routing::database shared = *t.parts.databases["shared"];
  shared.limits = of(sharer::database, "shared", {.clients = 500});
  t.parts.defaults.database = t.parts.databases["shared"] = std::make_shared<const routing::database>(shared);
  t.parts.roles["reporting"] = of(sharer::role, "reporting", {.clients = 20});
  t.tenant("globex");
  t.tenant("acme").database = t.parts.databases["acme"];
  t.parts.no_tenant = no_tenant_action::wait;
  const auto all = t.build();
  const auto found = [&](const identity& who) { return owners(*all.resolve(who)); };
  using names = std::vector<std::string>;
  CHECK(found(of_tenant("globex")) == names{"databases.shared.limits.clients"});
  CHECK(found(of_tenant("globex", "reporting")) ==
        names{"roles.reporting.limits.clients", "databases.shared.limits.clients"});
  CHECK(found(of_tenant("acme", "reporting")) == names{"roles.reporting.limits.clients"});
  CHECK(found(of_tenant("acme")).empty());
  // Who has yet to name its tenant lives nowhere.
  identity nobody;
  nobody.user = "reporting";
  CHECK(found(nobody) == names{"roles.reporting.limits.clients"});
}

}  // namespace limits_test
