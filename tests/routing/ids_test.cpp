#include "routing/ids.hpp"

#include <catch2/catch.hpp>

namespace ids_test {

using routing::tenant_id;

TEST_CASE("ids are what the contract says, and nothing else") {
  for (const auto* good : {"a", "A", "7", "_", "acme", "a.b-c_d", "42", "a..", "a--"}) CHECK(tenant_id::parse(good));
  CHECK(tenant_id::parse(std::string(63, 'x')));
  for (const auto* bad : {"", ".a", "-a", "a b", "a\"", "a/b", "gl\xc3\xb6\x62", "a;", "a*", "a{b}"}) {
    CHECK_FALSE(tenant_id::parse(bad));
  }
  CHECK_FALSE(tenant_id::parse(std::string(64, 'x')));
  CHECK_FALSE(tenant_id::parse(std::string_view("a\0", 2)));
  CHECK(tenant_id().empty());
  CHECK(tenant_id::parse("acme")->str() == "acme");
}

}  // namespace ids_test
