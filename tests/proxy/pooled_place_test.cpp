#include "proxy/session/pooled_place.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace pooled_place_test {

namespace {

const auto server = std::make_shared<const routing::server>(routing::server{.name = "main", .user = "pool"});

proxy::pooled_standing standing(const std::string& tenant, const std::string& application = "app") {
  proxy::pooled_standing made;
  made.who.tenant = *routing::tenant_id::parse(tenant);
  made.who.user = "app";
  made.startup.startup.parameters = {{"user", "app"}, {"application_name", application}};
  made.where.tenant = made.who.tenant;
  made.where.database = "shared";
  made.where.server = server;
  made.where.search_path = {"tenant_" + tenant};
  return made;
}

}  // namespace

TEST_CASE("who came in alike shares a place") {
  proxy::pooled_places places(3);
  const auto one = places.of(standing("acme"));
  CHECK(one == places.of(standing("acme")));
  CHECK(one->terms->tenant == "acme");
  CHECK(*one->terms->start->find("search_path") == "\"tenant_acme\"");
  CHECK(*one->terms->start->find("application_name") == "app");
  CHECK(one->wish.tenant == "acme");
  CHECK(one->wish.worker == 3);
}

TEST_CASE("who differs in anything has a place of its own") {
  proxy::pooled_places places(0);
  const auto one = places.of(standing("acme"));
  CHECK(one != places.of(standing("globex")));
  CHECK(one != places.of(standing("acme", "another")));
  auto other = standing("acme");
  other.where.guard = true;
  CHECK(one != places.of(other));
}

TEST_CASE("other limits make another place, and the same ones the same") {
  proxy::pooled_places places(0);
  const auto one = places.of(standing("acme"));
  auto now = one->where;
  now.limits.connections = 5;
  const auto limited = places.with_limits_of(now, *one);
  CHECK(limited != one);
  CHECK(limited->wish.tenant_connections == 5);
  CHECK(*limited->terms->start == *one->terms->start);
  now.limits = {};
  CHECK(places.with_limits_of(now, *limited) == one);
}

TEST_CASE("places that nobody uses any more are forgotten") {
  proxy::pooled_places places(0);
  const auto kept = places.of(standing("kept"));
  for (int i = 0; i < 10'000; ++i) static_cast<void>(places.of(standing("t" + std::to_string(i))));
  CHECK(places.size() < 200);
  CHECK(kept == places.of(standing("kept")));
}

}  // namespace pooled_place_test
