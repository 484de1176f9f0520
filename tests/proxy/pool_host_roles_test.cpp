// What becomes of the connections to a server's hosts as these change their roles.
#include "proxy/pool/host_roles.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch.hpp>

namespace pool_host_roles_test {

using namespace proxy;

namespace {

const routing::host a{"a", 5432}, b{"b", 5432};

endpoint at(std::uint16_t port) { return endpoint(asio::ip::tcp::endpoint(asio::ip::make_address("127.0.0.1"), port)); }
using endpoints = std::vector<endpoint>;

}  // namespace

TEST_CASE("a primary that becomes a standby is left, and returned to when it is the primary again") {
  host_roles roles;
  CHECK(roles.learn("main", a, host_role::primary, at(1)).return_to == at(1));
  CHECK(roles.learn("main", a, host_role::primary, at(1)).leave.empty());
  CHECK(roles.learn("main", a, host_role::standby, at(1)).leave == endpoints{at(1)});
  CHECK(roles.learn("main", a, host_role::standby, at(1)).leave.empty());
  const auto back = roles.learn("main", a, host_role::primary, at(1));
  CHECK(back.return_to == at(1));
  CHECK(back.leave.empty());
}

TEST_CASE("a host that is down is left when another is the primary, whichever is found first") {
  host_roles roles;
  roles.learn("main", a, host_role::primary, at(1));
  roles.learn("main", b, host_role::standby, at(2));
  SECTION("it is down first") {
    CHECK_FALSE(roles.learn("main", a, host_role::down, {}).return_to);
    const auto then = roles.learn("main", b, host_role::primary, at(2));
    CHECK(then.leave == endpoints{at(1)});
    CHECK(then.return_to == at(2));
  }
  SECTION("the other is the primary first") {
    CHECK(roles.learn("main", b, host_role::primary, at(2)).leave.empty());
    CHECK(roles.learn("main", a, host_role::down, {}).leave == endpoints{at(1)});
  }
  SECTION("what happens at another server does not matter") {
    roles.learn("big", b, host_role::primary, at(2));
    CHECK(roles.learn("main", a, host_role::down, {}).leave == endpoints{at(2)});  // the standby, once more
  }
}

TEST_CASE("a server that is slow to answer is not left while there is no other") {
  host_roles roles;
  roles.learn("main", a, host_role::primary, at(1));
  roles.learn("main", b, host_role::down, {});
  CHECK(roles.learn("main", a, host_role::down, {}).leave.empty());
  CHECK(roles.learn("main", a, host_role::unknown, {}).leave.empty());
}

TEST_CASE("a primary that the table does not name any more is no other to go to") {
  host_roles roles;
  roles.learn("main", a, host_role::primary, at(1));
  roles.learn("main", b, host_role::primary, at(2));
  roles.forget_unless(
      [](const std::string& server, const std::string& host) { return server == "main" && host == "b:5432"; });
  CHECK(roles.learn("main", b, host_role::down, {}).leave.empty());
}

}  // namespace pool_host_roles_test
