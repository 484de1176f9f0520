#include "proxy/session/cancel_registry.hpp"

#include <catch2/catch.hpp>
#include <set>
#include <string>

namespace cancel_registry_test {

namespace {

std::shared_ptr<const proxy::cancel_target> target_of(std::int32_t server_pid) {
  auto target = std::make_shared<proxy::cancel_target>();
  target->server_key = proxy::make_cancel_key(server_pid, 4);
  return target;
}

}  // namespace

TEST_CASE("a key is worth something exactly as long as its handle lives") {
  proxy::cancel_registry registry;
  const auto key = proxy::make_cancel_key(7, 32);
  {
    const auto held = registry.add(key, target_of(7));
    const auto found = registry.find(key);
    REQUIRE(found);
    CHECK((*found)->server_key.process_id() == 7);
  }
  CHECK_FALSE(registry.find(key));
  CHECK(registry.size() == 0);
}

TEST_CASE("sessions of several servers may share a process id; the secret decides") {
  proxy::cancel_registry registry;
  const auto one = proxy::make_cancel_key(7, 4);
  const auto other = proxy::make_cancel_key(7, 4);
  const auto first = registry.add(one, target_of(1));
  const auto second = registry.add(other, target_of(2));
  CHECK((*registry.find(one))->server_key.process_id() == 1);
  CHECK((*registry.find(other))->server_key.process_id() == 2);
}

TEST_CASE("a wrong secret, a cut one and a wrong process id find nothing") {
  proxy::cancel_registry registry;
  const auto key = proxy::make_cancel_key(7, 32);
  const auto held = registry.add(key, target_of(7));
  CHECK_FALSE(registry.find(proxy::make_cancel_key(7, 32)));
  CHECK_FALSE(registry.find(pgwire::cancel_key(7, key.secret().first(4))));
  CHECK_FALSE(registry.find(pgwire::cancel_key(8, key.secret())));
}

TEST_CASE("a moved handle keeps the entry") {
  proxy::cancel_registry registry;
  const auto key = proxy::make_cancel_key(7, 4);
  proxy::cancel_registry::handle outer;
  {
    auto inner = registry.add(key, target_of(7));
    outer = std::move(inner);
  }
  CHECK(registry.find(key));
  outer = {};
  CHECK_FALSE(registry.find(key));
}

TEST_CASE("secrets are random") {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto key = proxy::make_cancel_key(1, 32);
    seen.emplace(reinterpret_cast<const char*>(key.secret().data()), key.secret().size());
  }
  CHECK(seen.size() == 1000);
}

TEST_CASE("a key cancels what it is aimed at, and nothing between") {
  proxy::cancel_registry registry;
  const auto key = proxy::make_cancel_key(7, 32);
  auto held = registry.add(key, nullptr);
  CHECK_FALSE(registry.find(key));
  held.aim(target_of(1));
  CHECK((*registry.find(key))->server_key.process_id() == 1);
  held.aim(target_of(2));
  CHECK((*registry.find(key))->server_key.process_id() == 2);
  held.aim(nullptr);
  CHECK_FALSE(registry.find(key));
}

TEST_CASE("a request for a statement is remembered from its waiting on, and of no other") {
  proxy::cancel_registry registry;
  const auto key = proxy::make_cancel_key(7, 32);
  auto held = registry.add(key, nullptr);
  CHECK_FALSE(registry.find(key));
  CHECK_FALSE(held.requested());  // there is none
  held.set_waiting(true);
  CHECK_FALSE(registry.find(key));
  CHECK(held.requested());
  held.aim(target_of(1));
  held.set_waiting(false);
  CHECK(held.requested());
  held.forget_requests();
  CHECK_FALSE(held.requested());
  SECTION("a client's") { CHECK(registry.find(key)); }
  SECTION("the lodge's own") { CHECK(held.own_request()); }
  CHECK(held.requested());
}

TEST_CASE("a handle is busy while a request is on its way, even to a target before") {
  proxy::cancel_registry registry;
  const auto key = proxy::make_cancel_key(7, 32);
  auto held = registry.add(key, target_of(1));
  CHECK_FALSE(held.busy());
  {
    const auto request = registry.find(key);
    CHECK(held.busy());
    held.aim(nullptr);
    CHECK(held.busy());
  }
  CHECK_FALSE(held.busy());
}

}  // namespace cancel_registry_test
